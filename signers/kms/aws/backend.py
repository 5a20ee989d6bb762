"""The `awskms:` scheme for the registry (`signers.backend.Backend`): one provider per region."""

from signers.backend import BackendSettings
from signers.base import SignerProvider
from signers.kms.aws.client import AwsKmsClient
from signers.kms.aws.credentials import aws_credentials, default_region, service_url
from signers.kms.aws.service import AwsKmsService
from signers.kms.aws.uri import parse_awskms_uri
from signers.kms.quotas import AWS
from signers.remote.http import HttpService
from signers.remote.provider import RemoteProvider


def provider_name(uri: str, settings: BackendSettings) -> str:  # noqa: ARG001  # The protocol's signature.
    parsed = parse_awskms_uri(uri)
    return f"awskms:region={parsed.region or default_region()}{parsed.endpoint.query}"


async def open_provider(uri: str, settings: BackendSettings) -> SignerProvider:
    parsed, name = parse_awskms_uri(uri), provider_name(uri, settings)
    options = settings.remote.get("awskms", AWS)
    region = parsed.region or default_region()
    url = parsed.endpoint.base_url or service_url(region)
    http = HttpService(url, name=name, ca_file=parsed.endpoint.ca_file, connections=options.concurrency)
    client = AwsKmsClient(http, url, region, aws_credentials(name))
    return RemoteProvider(AwsKmsService(client, name), options)

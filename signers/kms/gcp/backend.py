"""The `gcpkms:` scheme for the registry (`signers.backend.Backend`): one provider per project and
location.
"""

from signers.backend import BackendSettings
from signers.base import SignerProvider
from signers.kms.gcp.client import URL, gcp_client
from signers.kms.gcp.credentials import gcp_credentials
from signers.kms.gcp.service import GcpKmsService
from signers.kms.gcp.uri import parse_gcpkms_uri
from signers.kms.quotas import GCP
from signers.remote.http import HttpService
from signers.remote.provider import RemoteProvider


def provider_name(uri: str, settings: BackendSettings) -> str:  # noqa: ARG001  # The protocol's signature.
    parsed = parse_gcpkms_uri(uri)
    return f"gcpkms:{parsed.parent}{parsed.endpoint.query}"


async def open_provider(uri: str, settings: BackendSettings) -> SignerProvider:
    endpoint, name = parse_gcpkms_uri(uri).endpoint, provider_name(uri, settings)
    options = settings.remote.get("gcpkms", GCP)
    http = HttpService(
        endpoint.base_url or URL, name=name, ca_file=endpoint.ca_file, connections=options.concurrency
    )
    client = gcp_client(http, gcp_credentials(name))
    return RemoteProvider(GcpKmsService(client, name), options)

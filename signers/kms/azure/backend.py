"""The `azurekms:` scheme for the registry (`signers.backend.Backend`): one provider per vault."""

from signers.backend import BackendSettings
from signers.base import SignerProvider
from signers.kms.azure.client import azure_client
from signers.kms.azure.credentials import azure_credentials
from signers.kms.azure.service import AzureKmsService
from signers.kms.azure.uri import parse_azurekms_uri
from signers.kms.quotas import AZURE
from signers.remote.http import HttpService
from signers.remote.provider import RemoteProvider


def provider_name(uri: str, settings: BackendSettings) -> str:  # noqa: ARG001  # The protocol's signature.
    parsed = parse_azurekms_uri(uri)
    return f"azurekms:vault={parsed.vault}{parsed.endpoint.query}"


async def open_provider(uri: str, settings: BackendSettings) -> SignerProvider:
    parsed, name = parse_azurekms_uri(uri), provider_name(uri, settings)
    options, endpoint = settings.remote.get("azurekms", AZURE), parsed.endpoint
    url = endpoint.base_url or f"https://{parsed.vault}"
    http = HttpService(url, name=name, ca_file=endpoint.ca_file, connections=options.concurrency)
    client = azure_client(http, azure_credentials(name, parsed.resource))
    return RemoteProvider(AzureKmsService(client, name), options)

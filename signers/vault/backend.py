"""The `vault:` scheme for the registry (`signers.backend.Backend`): one provider per server and login."""

from signers.backend import BackendSettings
from signers.base import SignerProvider
from signers.remote.options import RemoteOptions
from signers.remote.provider import RemoteProvider
from signers.vault.service import VaultService
from signers.vault.uri import parse_vault_uri

DEFAULTS = RemoteOptions(concurrency=4, max_batch=64)
"""A few requests at once: a server signs a batch of 64 in the time of three single requests."""


def provider_name(uri: str, settings: BackendSettings) -> str:  # noqa: ARG001  # The protocol's signature.
    return parse_vault_uri(uri).connection.name


async def open_provider(uri: str, settings: BackendSettings) -> SignerProvider:
    options = settings.remote.get("vault", DEFAULTS)
    return RemoteProvider(VaultService(parse_vault_uri(uri).connection, options), options)

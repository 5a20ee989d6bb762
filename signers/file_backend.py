"""The `file:` scheme for the registry (`signers.backend.Backend`)."""

from signers.backend import BackendSettings
from signers.base import SignerProvider
from signers.file import FileProvider
from signers.uri import parse_file_uri


def provider_name(uri: str, settings: BackendSettings) -> str:  # noqa: ARG001  # The protocol's signature.
    parse_file_uri(uri)
    return "file"


async def open_provider(uri: str, settings: BackendSettings) -> SignerProvider:  # noqa: ARG001  # As above.
    return FileProvider(settings.base_dir)

"""The `pkcs11:` scheme for the registry (`signers.backend.Backend`): one provider per token."""

from pathlib import Path

from signers.backend import BackendSettings
from signers.base import SignerProvider
from signers.isolated.provider import IsolatedProvider
from signers.pkcs11.provider import Pkcs11Provider
from signers.pkcs11.scope import module_path
from signers.uri import parse_pkcs11_uri


def provider_name(uri: str, settings: BackendSettings) -> str:
    options = settings.pkcs11
    parsed = parse_pkcs11_uri(uri, allow_pin_value=options.allow_pin_value)
    return f"{parsed.token_name}?module-path={Path(module_path(parsed, options)).resolve()}"


async def open_provider(uri: str, settings: BackendSettings) -> SignerProvider:
    if settings.pkcs11.isolation:
        return await IsolatedProvider.open(uri, settings.pkcs11)
    return await Pkcs11Provider.open(uri, settings.pkcs11)

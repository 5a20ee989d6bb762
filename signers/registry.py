"""From a key URI to a signer: the one table of schemes, and the providers that are open."""

import asyncio
import importlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from cryptography import x509

from signers.algorithms import Algorithm
from signers.backend import Backend, BackendSettings
from signers.base import KeyCreator, ProviderHealth, Signer, SignerProvider
from signers.errors import KeyUriError, SignerUnavailableError
from signers.pkcs11.options import Pkcs11Options
from signers.remote.options import RemoteOptions, RemoteOverrides, RemoteSettings
from signers.uri import scheme_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Scheme:
    module: str
    extra: str | None


_SCHEMES: Mapping[str, _Scheme] = {
    "file": _Scheme("signers.file_backend", None),
    "pkcs11": _Scheme("signers.pkcs11.backend", "pkcs11"),
    "vault": _Scheme("signers.vault.backend", None),
    "awskms": _Scheme("signers.kms.aws.backend", "awskms"),
    "gcpkms": _Scheme("signers.kms.gcp.backend", "gcpkms"),
    "azurekms": _Scheme("signers.kms.azure.backend", "azurekms"),
}


class SignerRegistry:
    """Opens signers by URI, shares providers between keys, and closes them all.

    An async context manager, bound to the event loop that entered it.
    """

    def __init__(
        self,
        *,
        base_dir: Path | None = None,
        pkcs11: Pkcs11Options | None = None,
        remote: Mapping[str, RemoteOverrides | RemoteOptions] | None = None,
        processes: int = 1,
    ) -> None:
        """*remote* has the options of services behind a network, by scheme; what it leaves out is as the
        scheme's backend has it. *processes* share each service's quota.
        """
        self._settings = BackendSettings(
            base_dir, pkcs11 or Pkcs11Options(), RemoteSettings(remote or {}, processes)
        )
        self._providers: dict[str, SignerProvider] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def open(
        self,
        uri: str,
        algorithm: Algorithm,
        *,
        public_key_sha256: str | None = None,
        certificate: x509.Certificate | None = None,
    ) -> Signer:
        """Find the one key that *uri* names and bind it to *algorithm*; see `SignerProvider.signer`."""
        provider = await self._provider(uri)
        return await provider.signer(
            uri, algorithm, public_key_sha256=public_key_sha256, certificate=certificate
        )

    async def create(self, uri: str, algorithm: Algorithm) -> Signer:
        """Generate the key that *uri* will name; see `KeyCreator.create`.

        Raises `KeyUriError` where the backend cannot generate keys.
        """
        provider = await self._provider(uri)
        if not hasattr(provider, "create"):
            raise KeyUriError(f"Keys of scheme '{scheme_of(uri)}' cannot be created here.")
        return await cast("KeyCreator", provider).create(uri, algorithm)

    def health(self) -> Mapping[str, ProviderHealth]:
        """The state of every open provider, by its redacted name."""
        return {name: provider.health() for name, provider in self._providers.items()}

    async def aclose(self) -> None:
        """Close every provider, all at once, and open none from now on. Idempotent."""
        self._closed = True
        for lock in list(self._opening.values()):
            # A provider that is being opened is closed with the others, not left behind.
            async with lock:
                pass
        providers = dict(self._providers)
        self._providers.clear()
        results = await asyncio.gather(
            *(provider.aclose() for provider in providers.values()), return_exceptions=True
        )
        for name, result in zip(providers, results, strict=True):
            if isinstance(result, BaseException):
                logger.error("%s: not closed cleanly", name, exc_info=result)

    async def _provider(self, uri: str) -> SignerProvider:
        backend = _backend(uri)
        name = backend.provider_name(uri, self._settings)
        async with self._opening.setdefault(name, asyncio.Lock()):
            if self._closed:
                raise SignerUnavailableError("The signer registry is closed.")
            provider = self._providers.get(name)
            if provider is None:
                provider = self._providers[name] = await backend.open_provider(uri, self._settings)
            return provider


def _backend(uri: str) -> Backend:
    name = scheme_of(uri)
    scheme = _SCHEMES.get(name)
    if scheme is None:
        raise KeyUriError(f"No backend serves the scheme '{name}'; known are {', '.join(sorted(_SCHEMES))}.")
    try:
        return cast("Backend", importlib.import_module(scheme.module))
    except ModuleNotFoundError as error:
        # A module of ours that is missing is our own fault, which no extra mends.
        if scheme.extra is None or (error.name or "").partition(".")[0] == "signers":
            raise
        raise KeyUriError(
            f"Keys of scheme '{name}' need an extra: pip install 'countersign-gateway[{scheme.extra}]'."
        ) from error

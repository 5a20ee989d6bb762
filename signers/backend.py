"""What a backend module offers to the registry, and what it is told."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from signers.base import SignerProvider
from signers.pkcs11.options import Pkcs11Options
from signers.remote.options import RemoteSettings


@dataclass(frozen=True, slots=True)
class BackendSettings:
    """What the backends are told besides a URI.

    `base_dir` resolves relative `file:` URIs; `remote` has the options of services behind a network.
    """

    base_dir: Path | None = None
    pkcs11: Pkcs11Options = field(default_factory=Pkcs11Options)
    remote: RemoteSettings = field(default_factory=RemoteSettings)


class Backend(Protocol):
    """A module that serves one scheme, imported when the scheme is first used."""

    def provider_name(self, uri: str, settings: BackendSettings) -> str:
        """Names the provider that *uri* needs; equal for keys that share one. Raises `KeyUriError`."""
        ...

    async def open_provider(self, uri: str, settings: BackendSettings) -> SignerProvider:
        """Open that provider. Raises `SignerError`."""
        ...

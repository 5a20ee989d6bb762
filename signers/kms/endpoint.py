"""Where a vendor's service is reached, when a key URI says that it is not where the vendor has it."""

from dataclasses import dataclass
from pathlib import Path

from signers.remote.uri import RemoteUri

QUERY = frozenset({"endpoint", "ca-file"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`base_url`: a private endpoint or an emulator, to which credentials are sent; None for the vendor's.
    `ca_file`: PEM certificates that replace the system's roots.
    """

    base_url: str | None
    ca_file: Path | None

    @classmethod
    def of(cls, uri: RemoteUri) -> "Endpoint":
        """What *uri* says. Raises `KeyUriError`."""
        return cls(uri.base_url("endpoint"), uri.absolute_path("ca-file"))

    @property
    def query(self) -> str:
        """As in a URI: empty, or '?' and what is set."""
        named = (("endpoint", self.base_url), ("ca-file", self.ca_file))
        text = "&".join(f"{name}={value}" for name, value in named if value is not None)
        return f"?{text}" if text else ""

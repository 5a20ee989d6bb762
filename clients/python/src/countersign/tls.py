"""Whom the client trusts, and who it is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import grpc

PemSource: TypeAlias = bytes | str | Path
"""PEM text as bytes, or the path of a file that holds it."""


@dataclass(frozen=True, slots=True, repr=False)
class TlsConfig:
    """TLS towards the gateway. There is no way to leave it out.

    - `ca`: the authorities that the gateway's certificate must come from; None means those that gRPC ships
      with.
    - `certificate`, `private_key`: the client's certificate with its intermediates, and its unencrypted key.
      Both or neither.
    - `server_name`: the name that the gateway's certificate must hold, where it is not the host of the
      target.

    Files are read when a client is opened; a client that is open keeps what it read.
    """

    ca: PemSource | None = None
    certificate: PemSource | None = None
    private_key: PemSource | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("certificate and private_key belong together: give both or neither.")

    def __repr__(self) -> str:
        """Paths, and never PEM text."""
        shown = {
            name: "<PEM>" if isinstance(value, bytes) else value and str(value)
            for name, value in (
                ("ca", self.ca),
                ("certificate", self.certificate),
                ("private_key", self.private_key),
            )
        }
        parts = [f"{name}={value!r}" for name, value in shown.items()]
        return f"TlsConfig({', '.join(parts)}, server_name={self.server_name!r})"

    def credentials(self) -> Any:
        """`grpc.ChannelCredentials` from what the files hold now. Raises `OSError`."""
        return grpc.ssl_channel_credentials(
            root_certificates=_read(self.ca),
            private_key=_read(self.private_key),
            certificate_chain=_read(self.certificate),
        )


def _read(source: PemSource | None) -> bytes | None:
    if source is None or isinstance(source, bytes):
        return source
    return Path(source).read_bytes()

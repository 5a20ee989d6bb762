"""Where a running gateway listens."""

from dataclasses import dataclass


class ListenError(Exception):
    """An address cannot be bound. The message names it."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The TCP ports in use, which differ from the configured ones where those are 0.

    - `tls`, `mtls`: gRPC without and with client certificate.
    - `https`, `https_mtls`: the HTTPS edge likewise; None where it is off.
    """

    tls: int
    mtls: int
    https: int | None = None
    https_mtls: int | None = None

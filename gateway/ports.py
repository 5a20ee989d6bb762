"""Where a running gateway listens."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ports:
    """The TCP ports in use, which differ from the configured ones where those are 0."""

    tls: int
    mtls: int

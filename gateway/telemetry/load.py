"""What a worker has under way."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """As it is now. *calls* are unary ones of both doors, *streams* those of gRPC."""

    calls: int
    calls_limit: int
    streams: int
    https_connections: int
    draining: bool

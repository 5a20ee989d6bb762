"""What a worker has under way."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Load:
    """As it is now. *calls* are unary ones of both doors, *streams* those of gRPC.

    *wait*: seconds that new calls wait, as it was estimated last; *admitted*: the part, up to 1, of the calls
    that can be refused for it which is not.
    """

    calls: int
    calls_limit: int
    streams: int
    https_connections: int
    draining: bool
    wait: float = 0.0
    admitted: float = 1.0
    closed: Mapping[str, int] = field(default_factory=dict)
    blocks: Mapping[str, int] = field(default_factory=dict)
    blocked: int = 0

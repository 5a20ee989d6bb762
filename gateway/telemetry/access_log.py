"""One record for each call."""

from typing import NamedTuple, Protocol


class AccessRecord(NamedTuple):
    """A finished call.

    - *time*: seconds since the epoch when the call ended; *duration_ms* how long it took here.
    - *deadline_ms*: what the call was granted; None for a stream without a deadline.
    - *method*: full gRPC method name, or HTTP method and path.
    - *code*: canonical gRPC code name, or HTTP status; *reason* and *cause* are empty for a success.
    - *caller*: the principal's name, empty for nobody; *peer*: the connection's other end.
    - *route*: of an HTTPS request its method and the path of its route, with names for what differs from
      request to request; empty where there is no such route. None for a gRPC call: its method is one of few.
    - *trace_id*: 32 hexadecimal digits where the call is traced, else empty.
    """

    time: float
    method: str
    code: str
    reason: str
    cause: str
    caller: str
    request_id: str
    peer: str
    duration_ms: float
    deadline_ms: float | None
    route: str | None = None
    trace_id: str = ""


class AccessLog(Protocol):
    """Takes records without waiting, whatever becomes of them."""

    def record(self, record: AccessRecord) -> None:
        """Keep *record*. Never blocks, never raises."""
        ...

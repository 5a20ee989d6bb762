"""`request_id`: replaying a mutation returns what the first one made (AIP-155)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """Names one attempt of one caller to do one thing.

    - `caller`: the principal's name; two callers never share a request id.
    - `method`: full gRPC method name.
    - `request_id`: the caller's UUID.
    - `digest`: SHA-256 of the request's deterministic serialization, 32 bytes; the same id with another
      digest is refused with ``REQUEST_ID_REUSED``.
    """

    caller: str
    method: str
    request_id: str
    digest: bytes

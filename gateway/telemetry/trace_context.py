"""The ``traceparent`` of a caller (W3C Trace Context, Recommendation of 23 November 2021, §3.2)."""

import re
from dataclasses import dataclass
from typing import Final

TRACEPARENT: Final = "traceparent"
"""The name of the header, and of the gRPC metadata."""
_FIELD: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_INVALID_VERSION: Final = "ff"
_FIRST_VERSION: Final = "00"
_SAMPLED: Final = 0x01
_MAX_LENGTH: Final = 512


@dataclass(frozen=True, slots=True)
class TraceParent:
    """The caller's place in its trace: 128 and 64 bits, neither of them 0, and whether it records its own."""

    trace_id: int
    span_id: int
    sampled: bool


def parse_traceparent(value: str | None) -> TraceParent | None:
    """What *value* says; None where there is none or it is malformed, which begins a trace anew (§4.3)."""
    if value is None or len(value) > _MAX_LENGTH:
        return None
    match = _FIELD.fullmatch(value)
    if match is None:
        return None
    version, trace, span, flags, rest = match.groups()
    # A later version may have more behind a dash; this one must not (§3.2.4).
    if version == _INVALID_VERSION or (version == _FIRST_VERSION and rest is not None):
        return None
    trace_id, span_id = int(trace, 16), int(span, 16)
    if not trace_id or not span_id:
        return None
    return TraceParent(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))

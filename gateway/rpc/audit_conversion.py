"""Between the wire and the rules, for the audit log."""

from typing import Final, Literal

from countersign.v1 import audit_service_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.audit.reading import DEFAULT_SEGMENTS, MAX_SEGMENTS, AskedExport, Chunk, LogEnd, Moment
from gateway.errors import Reason, RequestError

_LAST_SECOND: Final = 253_402_300_799
"""9999-12-31T23:59:59Z, the last that a Timestamp may name."""
_NANOSECONDS: Final = 1_000_000_000


def asked_export(request: audit_service_pb2.ExportAuditLogRequest) -> AskedExport:
    """What *request* asks for. Raises `RequestError` INVALID_FIELD."""
    first, last = _place(request, "start"), _place(request, "end")
    if isinstance(first, int) and isinstance(last, int) and last < first:
        raise _invalid("The last segment is not before the first.", "last_sequence_number")
    if request.max_segments < 0:
        raise _invalid("A number of segments is not negative.", "max_segments")
    return AskedExport(first, last, min(request.max_segments or DEFAULT_SEGMENTS, MAX_SEGMENTS))


def _place(
    request: audit_service_pb2.ExportAuditLogRequest, side: Literal["start", "end"]
) -> int | Moment | None:
    match request.WhichOneof(side):
        case None:
            return None
        case "start_time" | "end_time" as field:
            return _moment(getattr(request, field), field)
        case field:
            number: int = getattr(request, field)
            if number < 1:
                raise _invalid("Segments are numbered from 1.", field)
            return number


def _moment(stamp: Timestamp, field: str) -> Moment:
    if not 0 <= stamp.seconds <= _LAST_SECOND or not 0 <= stamp.nanos < _NANOSECONDS:
        raise _invalid("A time is from 1970 to 9999.", field)
    return Moment(stamp.seconds + stamp.nanos / _NANOSECONDS)


def _invalid(message: str, field: str) -> RequestError:
    return RequestError(Reason.INVALID_FIELD, message, field=field)


def head_message(end: LogEnd) -> audit_service_pb2.AuditLogHead:
    """The end of the log on the wire."""
    message = audit_service_pb2.AuditLogHead(
        sequence_number=end.head.sequence_number,
        hash=end.head.hash,
        pruned_sequence_number=end.pruned.sequence_number,
        enabled=end.enabled,
    )
    signed = end.checkpoint
    if signed is not None:
        message.last_checkpoint.sequence_number = signed.head.sequence_number
        message.last_checkpoint.sign_time.FromMicroseconds(round(signed.sign_time * 1_000_000))
        message.last_checkpoint.jws = signed.jws
    return message


def chunk_message(chunk: Chunk) -> audit_service_pb2.ExportAuditLogResponse:
    """Lines of an export on the wire."""
    return audit_service_pb2.ExportAuditLogResponse(
        lines=chunk.lines, next_sequence_number=chunk.following or 0
    )

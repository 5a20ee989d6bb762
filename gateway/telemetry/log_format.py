"""Log lines: one JSON object each, or text for a terminal."""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _string
from typing import Final, Literal, TypeAlias

from gateway.telemetry import redaction
from gateway.telemetry.access_log import AccessRecord
from gateway.telemetry.audit import AuditedKey, SignatureRecord
from gateway.telemetry.caller import current_caller
from gateway.telemetry.redaction import Scalar
from gateway.telemetry.request_id import current_request_id
from gateway.telemetry.spans import current_span

LogFormat: TypeAlias = Literal["json", "text"]
Fields: TypeAlias = Mapping[str, Scalar | list[str]]

ACCESS: Final = "access"
"""The logger name of access records."""
AUDIT: Final = "audit"
"""The logger name of signatures, and of what is done to keys."""

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_FORMATTER: Final = logging.Formatter()
_encode = json.JSONEncoder(separators=(",", ":")).encode


def event_fields(record: logging.LogRecord) -> Fields:
    """What is written of a log event: no ``extra`` but the listed ones, all texts scrubbed."""
    fields: dict[str, Scalar | list[str]] = {
        "time": _time(record.created),
        "level": record.levelname,
        "logger": record.name,
        "message": redaction.scrub(record.getMessage()),
    }
    if request_id := current_request_id.get():
        fields["request_id"] = request_id
    if (span := current_span.get()) is not None:
        fields["trace_id"] = span.trace_id
    if record.name == AUDIT and (caller := current_caller.get()):
        fields["caller"] = redaction.field(caller)
    extra = record.__dict__.keys() - _STANDARD
    for name in sorted(extra & redaction.FIELDS):
        fields[name] = redaction.field(record.__dict__[name])
    if hidden := sorted(extra - redaction.FIELDS):
        fields["redacted"] = hidden
    if record.exc_info:
        fields["exception"] = redaction.scrub(_FORMATTER.formatException(record.exc_info))
    return fields


def access_line(record: AccessRecord, level: str, form: LogFormat) -> bytes:
    """The line of a finished call. Written out for JSON: an encoder over a dict costs twice as much."""
    if form == "text":
        return line(_access_fields(record, level), form)
    optional = ""
    if record.deadline_ms is not None:
        optional = f',"deadline_ms":{record.deadline_ms:.0f}'
    if record.reason:
        optional += f',"reason":{_string(str(record.reason))}'
    if record.cause:
        optional += f',"cause":{_string(redaction.scrub(record.cause, redaction.MAX_FIELD))}'
    if record.trace_id:
        optional += f',"trace_id":"{record.trace_id}"'
    text = (
        f'{{"time":"{_time(record.time)}","level":"{level}","logger":"{ACCESS}",'
        f'"method":{_string(_method(record))},"code":"{record.code}","caller":{_string(record.caller)},'
        f'"request_id":{_string(record.request_id)},"peer":{_string(record.peer)},'
        f'"duration_ms":{record.duration_ms:.3f}{optional}}}\n'
    )
    return text.encode("ascii")


def _method(record: AccessRecord) -> str:
    """The method as it is written: a path is what a client chose, and somebody may put a token into one."""
    return record.method if record.route is None else redaction.scrub(record.method, redaction.MAX_FIELD)


def _access_fields(record: AccessRecord, level: str) -> Fields:
    fields: dict[str, Scalar | list[str]] = {
        "time": _time(record.time),
        "level": level,
        "logger": ACCESS,
        "method": _method(record),
        "code": record.code,
        "caller": record.caller,
        "request_id": record.request_id,
        "peer": record.peer,
        "duration_ms": f"{record.duration_ms:.3f}",
        "reason": str(record.reason),
        "cause": redaction.scrub(record.cause, redaction.MAX_FIELD),
    }
    if record.deadline_ms is not None:
        fields["deadline_ms"] = f"{record.deadline_ms:.0f}"
    if record.trace_id:
        fields["trace_id"] = record.trace_id
    return fields


def signature_line(record: SignatureRecord, form: LogFormat) -> bytes:
    """The line of signatures that were made."""
    used = record.used
    if form == "text":
        return line(
            {
                "time": _time(record.time),
                "level": "INFO",
                "logger": AUDIT,
                "message": "signed",
                "key_id": used.key_id,
                "key": used.key,
                "purpose": used.purpose,
                "algorithm": used.algorithm,
                "backend": used.backend,
                "caller": record.caller,
                "request_id": record.request_id,
                "signatures": record.signatures,
            },
            form,
        )
    text = (
        f'{{"time":"{_time(record.time)}","level":"INFO","logger":"{AUDIT}","message":"signed",'
        f'{_key_members(used)},"caller":{_string(record.caller)},'
        f'"request_id":{_string(record.request_id)},"signatures":{record.signatures}}}\n'
    )
    return text.encode("ascii")


@lru_cache(maxsize=256)
def _key_members(used: AuditedKey) -> str:
    return (
        f'"key_id":{_string(used.key_id)},"key":{_string(used.key)},"purpose":{_string(used.purpose)},'
        f'"algorithm":{_string(used.algorithm)},"backend":{_string(used.backend)}'
    )


def line(fields: Fields, form: LogFormat) -> bytes:
    """One line, with its end. Nothing in *fields* can begin another: line breaks are escaped."""
    if form == "json":
        return _encode(fields).encode("ascii") + b"\n"
    head = [str(fields["time"]), str(fields["level"]), str(fields["logger"])]
    if "message" in fields:
        head.append(_printable(str(fields["message"])))
    rest = [
        f"{name}={_printable(str(value))}"
        for name, value in fields.items()
        if name not in ("time", "level", "logger", "message", "exception") and value != ""
    ]
    text = " ".join((*head, *rest))
    if "exception" in fields:
        # Indented, so that a line of a trace cannot pass for an event.
        text += "".join(f"\n    {_printable(each)}" for each in str(fields["exception"]).splitlines())
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _printable(text: str) -> str:
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def _time(seconds: float) -> str:
    whole = int(seconds)
    return f"{_second(whole)}.{int((seconds - whole) * 1000):03d}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")

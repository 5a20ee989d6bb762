"""The lines of an export, parsed; see `gateway.audit.export` for what they are."""

from dataclasses import dataclass
from typing import Final

from gateway.audit.chain import HASH_SIZE, Head
from gateway.audit.export import FORMAT
from gateway.audit.faults import AuditError, AuditFault
from gateway.audit.records import encode_members
from gateway.jose.errors import JoseError
from gateway.jose.jwk import Jwk, parse_jwk
from gateway.jose.strict_json import JsonObject, parse_object

MAX_LINE: Final = 256 * 1024
"""Octets; far more than a record has."""
MAX_RECORDS: Final = 1_000_000
"""In one segment."""


@dataclass(frozen=True, slots=True)
class HeaderLine:
    """What the export follows upon."""

    issuer: str
    after: Head


@dataclass(frozen=True, slots=True)
class KeyLine:
    """A key that the file brings along, which proves nothing by itself."""

    key: Jwk


@dataclass(frozen=True, slots=True)
class SegmentLine:
    """A segment without its records, of which there are *records*."""

    sequence_number: int
    writer: str
    write_time: int
    records: int
    digest: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class RecordLine:
    """One record, with its place and the hash that the exporter computed."""

    segment: int
    position: int
    sha256: bytes
    octets: bytes


@dataclass(frozen=True, slots=True)
class CheckpointLine:
    """A checkpoint, not verified."""

    sequence_number: int
    jws: str


@dataclass(frozen=True, slots=True)
class EndLine:
    """What the exporter says is in the file."""

    head: Head
    segments: int
    records: int


Line = HeaderLine | KeyLine | SegmentLine | RecordLine | CheckpointLine | EndLine


def parse_line(text: bytes, number: int) -> Line:
    """One line. Raises `AuditError` MALFORMED; *number* counts from 1 and names the place."""
    place = f"line {number}"
    try:
        members = parse_object(text, max_size=MAX_LINE)
        return _parse(members, place)
    except (JoseError, KeyError, ValueError) as error:
        raise AuditError(AuditFault.MALFORMED, place, f"it is no line of an export: {error}") from error


def _parse(members: JsonObject, place: str) -> Line:
    match members.get("type"):
        case "header":
            if members["format"] != FORMAT:
                raise AuditError(AuditFault.MALFORMED, place, f"the format is not {FORMAT}")
            return HeaderLine(_text(members, "issuer"), _head(_object(members, "after")))
        case "key":
            return KeyLine(parse_jwk(members["jwk"]))
        case "segment":
            return SegmentLine(
                _number(members, "sequence_number"),
                _text(members, "writer"),
                _number(members, "write_time"),
                _number(members, "records", MAX_RECORDS),
                _hash(members, "digest"),
                _hash(members, "hash"),
            )
        case "record":
            return RecordLine(
                _number(members, "segment"),
                _number(members, "position"),
                _hash(members, "sha256"),
                encode_members(_object(members, "record")),
            )
        case "checkpoint":
            return CheckpointLine(_number(members, "sequence_number"), _text(members, "jws"))
        case "end":
            return EndLine(_head(members), _number(members, "segments"), _number(members, "records"))
        case other:
            raise AuditError(AuditFault.MALFORMED, place, f"no line is of the type {other}")


def _head(members: JsonObject) -> Head:
    return Head(_number(members, "sequence_number"), _hash(members, "hash"))


def _number(members: JsonObject, name: str, most: int = 2**63 - 1) -> int:
    value = members[name]
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{name} is not a number from 0 to {most}")
    return value


def _text(members: JsonObject, name: str) -> str:
    value = members[name]
    if not isinstance(value, str):
        raise ValueError(f"{name} is not text")  # noqa: TRY004 - a fault of the file, as the others.
    return value


def _object(members: JsonObject, name: str) -> JsonObject:
    value = members[name]
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not an object")  # noqa: TRY004 - a fault of the file, as the others.
    return value


def _hash(members: JsonObject, name: str) -> bytes:
    value = bytes.fromhex(_text(members, name))
    if len(value) != HASH_SIZE:
        raise ValueError(f"{name} is not {HASH_SIZE} octets")
    return value

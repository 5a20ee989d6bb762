"""Single values from the wire to Python and back: names of enums, times, spans."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

Member = TypeVar("Member", bound=StrEnum)


def enum_to_wire(wrapper: Any, member: StrEnum) -> Any:
    """The number of *member* in the protobuf enum *wrapper*. Raises `ValueError` where it has none."""
    return wrapper.Value(_prefix(wrapper) + member.name)


def enum_from_wire(kind: type[Member], wrapper: Any, number: int) -> Member:
    """The member of *kind* for *number*; `UNRECOGNIZED` where the gateway is newer than this client."""
    value = wrapper.DESCRIPTOR.values_by_number.get(number)
    name = value.name.removeprefix(_prefix(wrapper)) if value is not None else ""
    return kind.__members__.get(name) or kind["UNRECOGNIZED"]


def time_from_wire(message: Any, field: str) -> datetime | None:
    """The Timestamp *field* of *message* in UTC; None where it is absent."""
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    return stamp.ToDatetime(tzinfo=UTC)


def required_time_from_wire(stamp: Timestamp) -> datetime:
    """A Timestamp that is always present, in UTC."""
    return stamp.ToDatetime(tzinfo=UTC)


def time_to_wire(time: datetime | None) -> Timestamp | None:
    """A Timestamp; None stays absent."""
    if time is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


def span_to_wire(span: timedelta | None) -> Duration | None:
    """A Duration; None stays absent."""
    if span is None:
        return None
    duration = Duration()
    duration.FromTimedelta(span)
    return duration


def _prefix(wrapper: Any) -> str:
    zero: str = wrapper.DESCRIPTOR.values_by_number[0].name
    return zero.removesuffix("UNSPECIFIED")

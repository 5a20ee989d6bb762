"""A record: an event, who caused it in which call, and what became of it; and its octets in the chain.

The octets are one JSON object: members in the order of their names, no white space, ASCII only, no fractions.
So whoever reads a record and writes it again gets the same octets.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final, get_args

from gateway.audit.events import Event

COMMON_FIELDS: Final = ("caller", "certificate", "event", "outcome", "reason", "request_id", "time")
"""Members of every record, beside those of its event."""


class Outcome(StrEnum):
    """What is known of the effect.

    OK: it was about to happen when the record became durable. FAILED: the effect of an earlier record of the
    same call did not happen. UNKNOWN: as FAILED, but the effect may have happened, as when the database went
    away while it committed.
    """

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who caused an event, in which call.

    - *caller*: the principal's name, ``client:`` and an id, ``account:`` and an id, ``cli:`` and a user of
      the operating system; empty for nobody, and for the gateway itself.
    - *certificate*: SHA-256 thumbprint of the call's client certificate (RFC 8705 §3.1); None without.
    - *request_id*: empty for what no call asked for.
    """

    caller: str = ""
    certificate: str | None = None
    request_id: str = ""


NOBODY: Final = Actor()


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the log. *time*: microseconds since the epoch; *reason*: a stable word, of a failure."""

    event: Event
    time: int
    actor: Actor
    outcome: Outcome = Outcome.OK
    reason: str = ""

    def encode(self) -> bytes:
        """The octets that are hashed and kept."""
        actor, event = self.actor, self.event
        names, values = _LAYOUTS[event.event]
        members: dict[str, Any] = {
            "caller": actor.caller,
            "certificate": actor.certificate,
            "event": event.event,
            "outcome": self.outcome.value,
            "reason": self.reason,
            "request_id": actor.request_id,
            "time": self.time,
            **dict(zip(names, values(event), strict=True)),
        }
        return encode_members(members)


_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode
EVENT_KINDS: Final = {kind.event: kind for kind in get_args(Event)}
"""The kinds of events by name."""


def encode_members(members: Mapping[str, Any]) -> bytes:
    """The octets of the record that *members* were parsed from."""
    return _encode(members).encode("ascii")


def _layout(kind: type[Any]) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """The names of an event's fields, and what gives their values."""
    names = tuple(field.name for field in fields(kind))
    return names, attrgetter(*names) if len(names) > 1 else lambda event: (getattr(event, names[0]),)


_LAYOUTS: Final = {name: _layout(kind) for name, kind in EVENT_KINDS.items()}

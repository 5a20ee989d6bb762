"""What goes into a status check and what comes out of it: sources of lists, and the report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.presentations.checks import Check, Outcome, all_hold
from gateway.presentations.credential_state import CredentialState
from gateway.presentations.status.entry import StatusEntry
from gateway.presentations.status.status_list import StatusList


@dataclass(frozen=True, slots=True)
class FetchedList:
    """A list as fetched: the octets, and when (seconds since the epoch)."""

    body: bytes = field(repr=False)
    fetched_at: float


@dataclass(frozen=True, slots=True)
class KeptList:
    """A list that was read before, and when it was fetched (seconds since the epoch)."""

    status_list: StatusList
    fetched_at: float


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No list could be had; *reason* is a stable word for the report (``deadline_exceeded``)."""

    reason: str


ListSource: TypeAlias = FetchedList | KeptList | Unreachable


@dataclass(frozen=True, slots=True)
class EntryStatus:
    """What a list said of one entry: its value, and the issuer's message for it where there is one."""

    entry: StatusEntry
    value: int
    message: str | None


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What came of a status check.

    `state` is None where it could not be established, even where the policy accepts that. `lists` are those
    that were read here, by URI, for the caller's cache.
    """

    checks: tuple[Check, ...]
    state: CredentialState | None
    statuses: tuple[EntryStatus, ...]
    lists: Mapping[str, KeptList] = field(repr=False)

    @property
    def accepted(self) -> bool:
        """The verdict: no check that decides failed or stayed unknown.

        A credential without a status has one skipped check, and is accepted.
        """
        decisive = [check for check in self.checks if not check.advisory]
        skipped = all(check.outcome is Outcome.SKIPPED for check in decisive)
        return bool(self.checks) and (skipped or all_hold(self.checks))

"""The status of a credential: each entry against its list, rule by rule, and the state that follows.

For each entry, in this order: the list was to be had; it verifies and is a list of the entry's dialect; it is
the list that the entry names, issued by who may; it is valid and fresh now; it has the entry's purpose; it is
long enough; the index is inside; the value. The first rule that does not hold ends an entry: what a list says
that is not the right one means nothing.
"""

from collections.abc import Mapping
from typing import Any, Final

from gateway.presentations.checks import Check, Outcome
from gateway.presentations.credential_state import CredentialState
from gateway.presentations.status.entry import Dialect, StatusEntry, parse_entries
from gateway.presentations.status.policy import MINIMUM_ENTRIES, OnUnknown, StatusPolicy
from gateway.presentations.status.report import (
    EntryStatus,
    KeptList,
    ListSource,
    StatusReport,
    Unreachable,
)
from gateway.presentations.status.rules import StatusCheck, StatusError, line
from gateway.presentations.status.status_list import StatusList, TokenVerifier, read_list

_DEFAULT_POLICY: Final = StatusPolicy()


def check_status(
    payload: Mapping[str, Any],
    credential_issuer: str,
    sources: Mapping[str, ListSource],
    verify: TokenVerifier,
    *,
    now: float,
    policy: StatusPolicy = _DEFAULT_POLICY,
) -> StatusReport:
    """Check the status of the credential *payload* (a JWT's claims set), verified as of *credential_issuer*.

    *sources* has a list, or why there is none, for each `uri` of `parse_entries`; what is missing counts as
    unreachable. *verify* is given each list as fetched. *now* is in seconds since the epoch. Raises nothing
    for what a credential or a list says: whatever is wrong is a check.
    """
    return _Evaluation(credential_issuer, sources, verify, now, policy).run(payload)


class _Broken(Exception):  # noqa: N818 - it ends an entry with a check, and reaches no caller.
    def __init__(self, code: StatusCheck, outcome: Outcome, detail: str, reason: str = "") -> None:
        super().__init__(detail)
        self.reason = reason
        self.code = code
        self.outcome = outcome
        self.detail = detail


class _Evaluation:
    def __init__(
        self,
        credential_issuer: str,
        sources: Mapping[str, ListSource],
        verify: TokenVerifier,
        now: float,
        policy: StatusPolicy,
    ) -> None:
        self._credential_issuer = credential_issuer
        self._sources = sources
        self._verify = verify
        self._now = now
        self._policy = policy
        self._checks: list[Check] = []
        self._statuses: list[EntryStatus] = []
        self._lists: dict[str, KeptList] = {}

    def run(self, payload: Mapping[str, Any]) -> StatusReport:
        try:
            entries = parse_entries(payload)
        except StatusError as error:
            # A status that is not understood is a status: it is unknown, and never taken for none.
            unknown = error.code is StatusCheck.ENTRY_TYPE
            outcome = Outcome.UNKNOWN if unknown else Outcome.FAILED
            self._add(error.code, outcome, error.path, f"{error.message}.")
            return self._report(None)
        if not entries:
            return self._without_status()
        return self._report(_state_of([self._evaluate(entry) for entry in entries]))

    def _without_status(self) -> StatusReport:
        detail = "The credential has no status."
        if self._policy.required:
            self._add(StatusCheck.ENTRY_PRESENT, Outcome.FAILED, "$", detail)
            return self._report(None)
        self._add(StatusCheck.ENTRY_PRESENT, Outcome.SKIPPED, "$", detail)
        return self._report(CredentialState.ACTIVE)

    def _evaluate(self, entry: StatusEntry) -> CredentialState | None:
        """The state that one entry gives, None where it could not be established."""
        try:
            kept = self._list_of(entry)
            self._require_right_list(entry, kept.status_list)
            self._require_current(entry, kept)
            size = self._require_room(entry, kept.status_list)
        except _Broken as broken:
            self._add(broken.code, broken.outcome, entry.path, broken.detail, broken.reason)
            return None
        value = kept.status_list.value(entry.index, size)
        self._statuses.append(EntryStatus(entry, value, entry.messages.get(value)))
        return self._judge(entry, value)

    def _list_of(self, entry: StatusEntry) -> KeptList:
        if entry.uri in self._lists:
            return self._lists[entry.uri]
        source = self._sources.get(entry.uri, Unreachable("not_fetched"))
        if isinstance(source, Unreachable):
            detail = f"The list could not be had ({source.reason})."
            raise _Broken(StatusCheck.LIST_AVAILABLE, Outcome.UNKNOWN, detail, source.reason)
        self._passed(StatusCheck.LIST_AVAILABLE, entry, "The list was to be had.")
        if isinstance(source, KeptList):
            kept = source
        else:
            try:
                status_list = read_list(source.body, self._verify, max_inflated=self._policy.max_inflated)
            except StatusError as error:
                raise _Broken(error.code, Outcome.FAILED, f"{error.message}.") from error
            kept = KeptList(status_list, source.fetched_at)
        self._passed(StatusCheck.LIST_SIGNATURE, entry, "The list verifies.")
        self._lists[entry.uri] = kept
        return kept

    def _require_right_list(self, entry: StatusEntry, status_list: StatusList) -> None:
        self._require(
            StatusCheck.LIST_TYPE, entry, status_list.dialect is entry.dialect, "of the entry's kind"
        )
        self._require(StatusCheck.LIST_IDENTITY, entry, status_list.uri == entry.uri, "the one that is named")
        allowed = self._policy.may_issue_lists(status_list.issuer, self._credential_issuer)
        self._require(StatusCheck.LIST_ISSUER, entry, allowed, "by the credential's issuer or its delegate")
        if entry.purpose is not None:
            same = entry.purpose in status_list.purposes
            self._require(StatusCheck.LIST_PURPOSE, entry, same, "for the purpose of the entry")

    def _require_current(self, entry: StatusEntry, kept: KeptList) -> None:
        status_list, now, leeway = kept.status_list, self._now, self._policy.leeway
        starts = [moment for moment in (status_list.issued_at, status_list.not_before) if moment is not None]
        begun = all(moment <= now + leeway for moment in starts)
        ended = status_list.expires_at is not None and status_list.expires_at <= now - leeway
        self._require(StatusCheck.LIST_VALIDITY, entry, begun and not ended, "valid at this time")
        age = now - max(starts, default=kept.fetched_at)
        stale = status_list.ttl is not None and now - kept.fetched_at > status_list.ttl + leeway
        old = self._policy.max_age is not None and age > self._policy.max_age + leeway
        if stale or old:
            detail = "The list is older than it or the policy allows."
            raise _Broken(StatusCheck.LIST_FRESHNESS, Outcome.UNKNOWN, detail)
        self._passed(StatusCheck.LIST_FRESHNESS, entry, "The list is fresh.")

    def _require_room(self, entry: StatusEntry, status_list: StatusList) -> int:
        """The size of the entry's value in bits; there is room for it in the list."""
        size = status_list.size or entry.size or 1
        entries = status_list.entries(size)
        if entry.dialect is not Dialect.TOKEN:
            long_enough = entries >= MINIMUM_ENTRIES
            self._require(
                StatusCheck.LIST_LENGTH, entry, long_enough, f"of at least {MINIMUM_ENTRIES} entries"
            )
        if entry.index >= entries:
            detail = "The index is outside of the list."
            raise _Broken(StatusCheck.INDEX_RANGE, Outcome.FAILED, detail)
        self._passed(StatusCheck.INDEX_RANGE, entry, "The index is inside the list.")
        return size

    def _judge(self, entry: StatusEntry, value: int) -> CredentialState | None:
        if entry.purpose in ("message", "refresh"):
            # They tell the verifier something, and nothing about whether the credential holds.
            self._passed(StatusCheck.VALUE, entry, f"The value {value:#x} is informative.")
            return CredentialState.ACTIVE
        state = _state(entry, value)
        if state is None:
            detail = f"What the value {value:#x} means is not known."
            # The list was had and says something: no policy about missing lists covers this.
            self._checks.append(line(StatusCheck.VALUE, Outcome.UNKNOWN, path=entry.path, detail=detail))
            return None
        accepted = state in self._policy.accepted_states
        outcome = Outcome.PASSED if accepted else Outcome.FAILED
        self._add(StatusCheck.VALUE, outcome, entry.path, f"The credential is {state}.")
        return state

    def _require(self, code: StatusCheck, entry: StatusEntry, holds: bool, words: str) -> None:  # noqa: FBT001 - the rule's own answer.
        if not holds:
            raise _Broken(code, Outcome.FAILED, f"The list is not {words}.")
        self._passed(code, entry, f"The list is {words}.")

    def _passed(self, code: StatusCheck, entry: StatusEntry, detail: str) -> None:
        self._add(code, Outcome.PASSED, entry.path, detail)

    def _add(self, code: StatusCheck, outcome: Outcome, path: str, detail: str, reason: str = "") -> None:
        tolerated = outcome is Outcome.UNKNOWN and self._policy.on_unknown is OnUnknown.ACCEPT
        self._checks.append(line(code, outcome, path=path, detail=detail, advisory=tolerated, reason=reason))

    def _report(self, state: CredentialState | None) -> StatusReport:
        return StatusReport(tuple(self._checks), state, tuple(self._statuses), self._lists)


def _state(entry: StatusEntry, value: int) -> CredentialState | None:
    if value == 0:
        return CredentialState.ACTIVE
    if entry.dialect is Dialect.TOKEN:
        # Token Status List §7.1; the others are an application's own.
        return {1: CredentialState.REVOKED, 2: CredentialState.SUSPENDED}.get(value)
    return {"revocation": CredentialState.REVOKED, "suspension": CredentialState.SUSPENDED}.get(
        entry.purpose or ""
    )


def _state_of(states: list[CredentialState | None]) -> CredentialState | None:
    """The state of a credential with several entries: what is worst, and unknown before active."""
    for state in (CredentialState.REVOKED, CredentialState.SUSPENDED, None):
        if state in states:
            return state
    return CredentialState.ACTIVE

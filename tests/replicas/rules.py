"""What must hold of a history, whatever fails: each rule yields what breaks it.

A rule knows only what clients did and were told. Where an outcome is unknown it allows both.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from tests.replicas.history import Attempt, History, Kind, Outcome, Token
from tests.replicas.rules_certificates import certificates_are_single, lists_go_forward
from tests.replicas.rules_changes import keys_follow, watchers_agree
from tests.replicas.rules_presentations import presentations_go_forward, presentations_have_one_result
from tests.replicas.verdict import KEY_LAG, Violation

ACTIVE: Final = "active"
INACTIVE: Final = "inactive"
REVOCATION_LAG: Final = 0.0
"""Seconds after its reply in which a revocation may not be seen: none, as the database is asked each time."""

EXPECTED_REFUSALS: Final[dict[Kind, frozenset[str]]] = {
    Kind.REDEEM: frozenset({"INVALID_GRANT"}),
    Kind.REFRESH: frozenset({"INVALID_GRANT"}),
    Kind.REUSE: frozenset({"INVALID_GRANT"}),
    Kind.PROOF: frozenset({"INVALID_DPOP_PROOF"}),
    Kind.ASSERTION: frozenset({"INVALID_CLIENT"}),
    Kind.NONCE: frozenset({"BAD_NONCE"}),
    Kind.CLIENT_NONCE: frozenset({"BAD_NONCE", "CLIENT_PROOF_REFUSED"}),
    Kind.PUSHED: frozenset({"INVALID_REQUEST"}),
    Kind.ASK: frozenset({"PRESENTATION_REQUEST_ALREADY_EXISTS"}),
    Kind.SUBMIT: frozenset({"PRESENTATION_REQUEST_CLOSED"}),
    Kind.FINALIZE: frozenset({"ORDER_NOT_READY"}),
    Kind.REVOKE_CERTIFICATE: frozenset({"ALREADY_REVOKED"}),
    Kind.PREPARE_KEY: frozenset({"KEY_ALREADY_EXISTS"}),
}
"""Refusals that a race, or asking again after an unknown outcome, brings about."""
SINGLE_USE: Final = (
    *(Kind.PUSHED, Kind.REDEEM, Kind.PROOF, Kind.ASSERTION, Kind.NONCE, Kind.CLIENT_NONCE),
    *(Kind.ASK, Kind.SUBMIT),
)


Rule: TypeAlias = Callable[[History], Iterable[Violation]]


def refusals_are_expected(history: History) -> Iterator[Violation]:
    """No call is refused but for what its kind allows; everything else is tried again and succeeds."""
    for attempt in history.attempts:
        allowed = EXPECTED_REFUSALS.get(attempt.kind, frozenset())
        if attempt.outcome is Outcome.REFUSED and attempt.reason not in allowed:
            yield Violation("refusal", attempt.subject, f"refused with {attempt.reason}", (attempt,))


def used_once(history: History) -> Iterator[Violation]:
    """A code, proof, assertion, nonce or presentation is accepted once, and where every answer is known, by
    somebody.
    """
    for kind in SINGLE_USE:
        for subject, attempts in history.by_subject(kind).items():
            outcomes = [attempt.outcome for attempt in attempts]
            if outcomes.count(Outcome.OK) > 1:
                yield Violation("used once", subject, f"the {kind} was accepted twice", tuple(attempts))
            if set(outcomes) == {Outcome.REFUSED}:
                yield Violation("used once", subject, f"the {kind} was lost", tuple(attempts))


def token_ids_are_unique(history: History) -> Iterator[Violation]:
    """No token id is told in two answers."""
    for token in history.token_twice:
        yield Violation("token ids", token.token_id, "told twice", tuple(history.about(token.token_id)))


@dataclass(frozen=True, slots=True)
class _End:
    """What ends a token or certificate: from `possible` on it may be over, from `certain` on it is."""

    possible: float
    certain: float


_NEVER: Final = float("inf")


def states_hold(history: History) -> Iterator[Violation]:
    """A token or certificate is active until something ended it, and nowhere after that was acknowledged."""
    ends = _ends_of_tokens(history)
    for token_id, asked in history.by_subject(Kind.INTROSPECT).items():
        token = history.tokens[token_id]
        yield from _wrong_states("token", history, asked, ends(token), (token_id, token.family))
    revoked = history.by_subject(Kind.REVOKE_CERTIFICATE)
    for name, asked in history.by_subject(Kind.OCSP).items():
        yield from _wrong_states("certificate", history, asked, _ends(revoked.get(name, ())), (name,))


def _wrong_states(
    what: str, history: History, asked: Sequence[Attempt], ends: Sequence[_End], names: Sequence[str]
) -> Iterator[Violation]:
    certain = min((end.certain for end in ends), default=_NEVER)
    possible = min((end.possible for end in ends), default=_NEVER)
    seen_over = _NEVER
    for answer in sorted(asked, key=lambda each: each.ended):
        if answer.outcome is not Outcome.OK:
            continue
        wrong = ""
        if answer.told == (ACTIVE,):
            if answer.began > certain:
                wrong = "active after its end was acknowledged"
            elif answer.began > seen_over + KEY_LAG:
                wrong = "active again after it was inactive"
        else:
            seen_over = min(seen_over, answer.ended)
            if answer.ended < possible:
                wrong = "inactive though nothing ended it"
        if wrong:
            yield Violation(what, answer.subject, wrong, tuple(history.about(*names)))


def _ends_of_tokens(history: History) -> Callable[[Token], list[_End]]:
    """What ended each token: its revocation, the end of its family, or of the key that signed it."""
    revoked = history.by_subject(Kind.REVOKE)
    families = _ends_of_families(history)
    disabled = history.by_subject(Kind.DISABLE_KEY)

    def ends(token: Token) -> list[_End]:
        return [
            *_ends(revoked.get(token.token_id, ())),
            *families.get(token.family, ()),
            *(_End(end.possible, end.certain + KEY_LAG) for end in _ends(disabled.get(token.key_id, ()))),
        ]

    return ends


def _ends_of_families(history: History) -> dict[str, list[_End]]:
    """What ended each family: a token used again, or a code that was presented more than once."""
    families: dict[str, list[_End]] = defaultdict(list)
    for attempt in history.of(Kind.REUSE):
        # It is refused because the family is over, and its answer says that.
        over = attempt.ended if attempt.outcome is Outcome.REFUSED else _NEVER
        families[attempt.family].append(_End(attempt.began, over))
    for attempts in history.by_subject(Kind.REDEEM).values():
        if len(attempts) == 1:
            continue
        for attempt in attempts:
            # Of several attempts all but the one that is the first are a replay, and we may not know which.
            over = attempt.ended if attempt.outcome is Outcome.REFUSED else _NEVER
            families[attempt.family].append(_End(attempt.began, over))
    for attempt in history.of(Kind.REVOKE):
        if attempt.family:
            families[attempt.family] += _ends([attempt])
    return families


def _ends(attempts: Iterable[Attempt]) -> list[_End]:
    """Of attempts that end their subject where they are acknowledged, or say that it was over."""
    return [
        _End(attempt.began, _NEVER if attempt.outcome is Outcome.UNKNOWN else attempt.ended + REVOCATION_LAG)
        for attempt in attempts
    ]


def families_are_whole(history: History) -> Iterator[Violation]:
    """A refresh token has one successor, which is of one token; no family ends that was not abused."""
    families = _ends_of_families(history)
    successors: dict[str, set[str]] = defaultdict(set)
    predecessors: dict[str, set[str]] = defaultdict(set)
    for attempt in history.attempts:
        if attempt.kind not in (Kind.REFRESH, Kind.REDEEM):
            continue
        if attempt.outcome is Outcome.OK and attempt.told:
            successors[attempt.subject].add(attempt.told[0])
            predecessors[attempt.told[0]].add(attempt.subject)
        abused = min((end.possible for end in families.get(attempt.family, ())), default=_NEVER)
        if attempt.kind is Kind.REFRESH and attempt.outcome is Outcome.REFUSED and attempt.ended < abused:
            evidence = tuple(history.about(attempt.family))
            yield Violation("families", attempt.family, "ended though nobody abused it", evidence)
    for what, found in (("successors", successors), ("predecessors", predecessors)):
        for subject, others in found.items():
            if len(others) > 1:
                yield Violation("families", subject, f"{len(others)} {what}", tuple(history.about(subject)))
    for attempt in history.of(Kind.REUSE):
        if attempt.outcome is Outcome.OK:
            evidence = tuple(history.about(attempt.family))
            yield Violation("families", attempt.family, "a used refresh token gave tokens", evidence)


RULES: Final[Sequence[Rule]] = (
    refusals_are_expected,
    used_once,
    token_ids_are_unique,
    states_hold,
    families_are_whole,
    certificates_are_single,
    lists_go_forward,
    presentations_have_one_result,
    presentations_go_forward,
    keys_follow,
    watchers_agree,
)


def violations(history: History) -> list[Violation]:
    """Everything that is wrong."""
    return [violation for rule in RULES for violation in rule(history)]

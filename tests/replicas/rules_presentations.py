"""What must hold of requests for presentations: one result, told by all, and nothing that goes back."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from tests.replicas.history import Attempt, History, Kind, Outcome
from tests.replicas.verdict import Violation

_PLACES: Final = {"created": 0, "fetched": 1, "submitted": 2}
_FINAL: Final = len(_PLACES)
_NOBODY: Final = "expired"


def _place(word: str) -> int:
    """Where a state is in a request's life; a final one is told with a digest of its result."""
    return _PLACES.get(word.partition(" ")[0], _FINAL)


def presentations_have_one_result(history: History) -> Iterator[Violation]:
    """Every final state that anybody was told is the same, that of the answer which was accepted."""
    for name, attempts in history.by_subject(Kind.SUBMIT, Kind.LOOK, Kind.WATCH).items():
        evidence = tuple(attempts)
        results = {word for each in attempts for word in each.told if _place(word) == _FINAL}
        if len(results) > 1:
            yield Violation("presentations", name, f"{len(results)} results", evidence)
        for each in attempts:
            accepted = each.kind is Kind.SUBMIT and each.outcome is Outcome.OK
            if accepted and each.told[0].partition(" ")[0] != each.family:
                yield Violation("presentations", name, "the result is not of the accepted answer", evidence)
        if results and not any(_NOBODY in result for result in results):
            watched = [each for each in attempts if each.kind is Kind.WATCH]
            if watched and not any(results & set(each.told) for each in watched):
                yield Violation("presentations", name, "its watcher was not told the result", evidence)


def presentations_go_forward(history: History) -> Iterator[Violation]:
    """No state comes before one that was told already, in a watch or at any replica."""
    for name, attempts in history.by_subject(Kind.SUBMIT, Kind.LOOK, Kind.WATCH).items():
        told = [each for each in attempts if each.told]
        for each in told:
            places = [_place(word) for word in each.told]
            if any(after <= before for before, after in pairwise(places)):
                yield Violation("presentations", name, "a watch went back", (each,))
            earlier = _latest_before(told, each)
            if earlier is not None and places[0] < _place(earlier.told[-1]):
                yield Violation("presentations", name, "it went back", (earlier, each))


def _latest_before(told: Sequence[Attempt], attempt: Attempt) -> Attempt | None:
    """Of what had been told when *attempt* began, that of the latest state."""
    before = [each for each in told if each.ended < attempt.began]
    return max(before, key=lambda each: _place(each.told[-1]), default=None)

"""The figures of a run, as Markdown."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from tests.replicas.history import History, Kind, Outcome

if TYPE_CHECKING:
    from tests.replicas.run import Run


_AFTERMATH: Final = 0.5
"""Seconds after a fault in which what calls meet is still taken for its work."""


def report(run: "Run") -> str:
    """Calls, faults, outages, lag, and the verdict."""
    return "\n".join([*_calls(run.history), "", *_faults(run), "", *_summary(run)]) + "\n"


def _calls(history: History) -> Iterator[str]:
    counts = Counter((attempt.kind, attempt.outcome) for attempt in history.attempts)
    yield "| call | answered | refused, as races and replays must be | no answer, or not now |"
    yield "|---|---|---|---|"
    for kind in Kind:
        row = [counts[kind, outcome] for outcome in Outcome]
        yield f"| {kind} | {row[0]:,} | {row[1]:,} | {row[2]:,} |"


def _faults(run: "Run") -> Iterator[str]:
    met = _met_during(run)
    yield "| fault | times | seconds until it served again: median, worst | what calls met meanwhile |"
    yield "|---|---|---|---|"
    for kind, count in sorted(run.faults.counts.items()):
        recoveries = sorted(run.faults.recoveries.get(kind, []))
        figures = f"{recoveries[len(recoveries) // 2]:.1f}, {recoveries[-1]:.1f}" if recoveries else ""
        yield f"| {kind} | {count} | {figures} | {_met(met[kind])} |"


def _met_during(run: "Run") -> dict[str, "Counter[str]"]:
    """Why calls had no answer, by the fault that was under way or had just been."""
    met: dict[str, Counter[str]] = defaultdict(Counter)
    lost = [attempt for attempt in run.history.attempts if attempt.outcome is Outcome.UNKNOWN]
    for began, ended, fault in run.faults.spans:
        overlapping = (each for each in lost if each.began < ended + _AFTERMATH and each.ended > began)
        met[fault.kind].update(each.reason for each in overlapping)
    return met


def _summary(run: "Run") -> Iterator[str]:
    assert run.fleet is not None
    outages, history = run.fleet.outages, run.history
    lags = sorted(_lags(run))
    yield f"- {run.load_seconds:.0f} s of load, seed {run.seed}; {len(history.attempts):,} attempts, "
    yield f"  {len(history.tokens):,} tokens, {len(run.violations)} violations."
    yield f"- Calls that were repeated at another replica: {outages.repeated:,}; met: {_met(outages.met)}."
    longest = f"{outages.longest:.2f} s ({outages.longest_kind})"
    yield f"- Longest time until a repeated call was answered: {longest}."
    if lags:
        yield (
            f"- A revocation reached a watcher {_at(lags, 0.5) * 1e3:.0f} ms after it was asked for"
            f" (median), {_at(lags, 0.99):.2f} s (99 %), {lags[-1]:.2f} s (worst, through every fault)."
        )


def _lags(run: "Run") -> Iterator[float]:
    """From the beginning of the call that revoked to the watcher's notice."""
    began = {
        attempt.subject: attempt.began
        for attempt in run.history.of(Kind.REVOKE)
        if attempt.outcome is Outcome.OK
    }
    for sight in run.history.sights:
        if sight.subject in began:
            yield max(0.0, sight.at - began[sight.subject])


def _at(values: Sequence[float], part: float) -> float:
    return values[min(len(values) - 1, int(len(values) * part))]


def _met(met: "Counter[str]") -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in met.most_common()) or "nothing"

"""What an operator watches of signing, read when somebody asks.

Signing itself only counts into plain numbers (`gateway.keys.guarded`, `signers.durations`); the families are
made here, at each scrape.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from gateway.keys.guarded import GuardedSigner
from gateway.keys.keyring import KeyringView
from gateway.keys.model import KeyRecord, KeyState
from gateway.telemetry import families
from signers import ProviderHealth
from signers.durations import Histogram

TOTAL: Final = "total"
"""The stage from the request of a signature to its release."""


class SigningMetrics(Collector):
    """Makes the families from the keyring's view and the backends' health."""

    def __init__(
        self, view: Callable[[], KeyringView], health: Callable[[], Mapping[str, ProviderHealth]]
    ) -> None:
        self._view = view
        self._health = health

    def collect(self) -> Iterator[Metric]:
        """The families as they are now."""
        view = self._view()
        guards = [
            (record, guard)
            for record in view.records
            if (guard := view.signers.get(record.key_id)) is not None
        ]
        yield _seconds(guards)
        yield from _counts(guards)
        yield from _keys(view)
        yield from _backends(self._health())


def _seconds(guards: Sequence[tuple[KeyRecord, GuardedSigner]]) -> Metric:
    family = families.SIGNATURE_SECONDS.samples()
    for record, guard in guards:
        times: dict[str, Histogram] = {TOTAL: guard.usage.calls}
        if guard.stages is not None:
            times |= {stage.value: histogram for stage, histogram in guard.stages.totals().items()}
        for stage, histogram in times.items():
            family.add_histogram([*_labels(record), stage], histogram)
    return family.metric


def _counts(guards: Sequence[tuple[KeyRecord, GuardedSigner]]) -> Iterator[Metric]:
    made, failed = families.SIGNATURES.samples(), families.SIGNATURE_ERRORS.samples()
    for record, guard in guards:
        made.add(_labels(record), guard.usage.signatures)
        for error, count in guard.usage.errors.items():
            failed.add([*_labels(record), error], count)
    yield made.metric
    yield failed.metric


def _keys(view: KeyringView) -> Iterator[Metric]:
    state, health = families.KEY_STATE.samples(), families.KEY_HEALTHY.samples()
    until = families.KEY_SIGN_UNTIL.samples()
    for record in view.records:
        state.add([*_labels(record), record.state.value], 1)
        if record.signs:
            guard = view.signers.get(record.key_id)
            health.add(_labels(record), float(guard is not None and guard.usage.fault is None))
            if record.sign_until is not None and record.state is not KeyState.RETIRING:
                until.add(_labels(record), record.sign_until)
    yield state.metric
    yield health.metric
    yield until.metric


def _backends(health: Mapping[str, ProviderHealth]) -> Iterator[Metric]:
    available, queued = families.SIGNER_AVAILABLE.samples(), families.SIGNER_QUEUED.samples()
    stuck, budget = families.SIGNER_STUCK_THREADS.samples(), families.SIGNER_BUDGET_LEFT.samples()
    for name, state in health.items():
        available.add([name], float(state.available))
        queued.add([name], state.queued)
        stuck.add([name], state.stuck_threads)
        if state.budget_left is not None:
            budget.add([name], state.budget_left)
    yield from (available.metric, queued.metric, stuck.metric, budget.metric)


def _labels(record: KeyRecord) -> list[str]:
    return [
        record.key_id,
        record.purpose.value,
        record.algorithm.value,
        record.uri.partition(":")[0],
    ]

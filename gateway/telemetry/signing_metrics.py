"""What an operator watches of signing, in the text format of Prometheus, read when somebody asks.

Signing itself only counts into plain numbers (`gateway.keys.guarded`, `signers.durations`); the families are
made here, at each scrape.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from gateway.keys.guarded import GuardedSigner
from gateway.keys.keyring import KeyringView
from gateway.keys.model import KeyRecord
from signers import ProviderHealth
from signers.durations import BOUNDS, Histogram, StageTimes

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_1_0_0
TOTAL: Final = "total"
"""The stage from the request of a signature to its release."""

_KEY: Final = ("key_id", "purpose", "algorithm", "backend")


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


def exposition(metrics: SigningMetrics) -> Callable[[], bytes]:
    """A function that writes *metrics* and those of the process as text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return lambda: generate_latest(registry)


def _seconds(guards: Sequence[tuple[KeyRecord, GuardedSigner]]) -> Metric:
    family = HistogramMetricFamily(
        "countersign_signature_seconds",
        "Time of calls that sign: total, and apart where the backend tells: queue, sign, verify.",
        labels=[*_KEY, "stage"],
    )
    for record, guard in guards:
        times: dict[str, Histogram] = {TOTAL: guard.usage.calls}
        if isinstance(guard.stages, StageTimes):
            times |= {stage.value: histogram for stage, histogram in guard.stages.totals().items()}
        for stage, histogram in times.items():
            bounds = (*(format(bound, "g") for bound in BOUNDS), "+Inf")
            counts = accumulate(histogram.counts)
            family.add_metric(
                [*_labels(record), stage], list(zip(bounds, counts, strict=True)), histogram.seconds
            )
    return family


def _counts(guards: Sequence[tuple[KeyRecord, GuardedSigner]]) -> Iterator[Metric]:
    made = CounterMetricFamily("countersign_signatures", "Signatures handed out.", labels=_KEY)
    failed = CounterMetricFamily(
        "countersign_signature_errors", "Signatures not made, by class of error.", labels=[*_KEY, "error"]
    )
    for record, guard in guards:
        made.add_metric(_labels(record), guard.usage.signatures)
        for error, count in guard.usage.errors.items():
            failed.add_metric([*_labels(record), error], count)
    yield made
    yield failed


def _keys(view: KeyringView) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "countersign_key_state", "1 for the state that the key is in.", labels=[*_KEY, "state"]
    )
    health = GaugeMetricFamily(
        "countersign_key_healthy", "Whether a prepared or active key is open and signed last.", labels=_KEY
    )
    until = GaugeMetricFamily(
        "countersign_key_sign_until_seconds", "When a delegated key stops signing, Unix time.", labels=_KEY
    )
    for record in view.records:
        state.add_metric([*_labels(record), record.state.value], 1)
        if record.signs:
            guard = view.signers.get(record.key_id)
            health.add_metric(_labels(record), float(guard is not None and guard.usage.fault is None))
            if record.sign_until is not None:
                until.add_metric(_labels(record), record.sign_until)
    yield state
    yield health
    yield until


def _backends(health: Mapping[str, ProviderHealth]) -> Iterator[Metric]:
    names = ["provider"]
    available = GaugeMetricFamily(
        "countersign_signer_available", "Whether the backend answers.", labels=names
    )
    queued = GaugeMetricFamily("countersign_signer_queued", "Signatures that wait for it.", labels=names)
    stuck = GaugeMetricFamily("countersign_signer_stuck_threads", "Threads that hang in it.", labels=names)
    budget = GaugeMetricFamily(
        "countersign_signer_budget_left", "Requests that its quota allows now.", labels=names
    )
    for name, state in health.items():
        available.add_metric([name], float(state.available))
        queued.add_metric([name], state.queued)
        stuck.add_metric([name], state.stuck_threads)
        if state.budget_left is not None:
            budget.add_metric([name], state.budget_left)
    yield from (available, queued, stuck, budget)


def _labels(record: KeyRecord) -> list[str]:
    return [
        record.key_id,
        record.purpose.value,
        record.algorithm.value,
        record.uri.partition(":")[0],
    ]

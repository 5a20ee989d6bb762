"""The families of the audit log; read at each scrape."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from gateway.audit.checkpointing import Signed
from gateway.telemetry import families
from signers.durations import Histogram


class Trail(Protocol):
    """What is read of the way into the log: `gateway.audit.trail.ChainTrail`."""

    refused: int
    commits: Histogram

    @property
    def recorded(self) -> Mapping[str, int]:
        """Durable records by event."""
        ...


class Checkpoints(Protocol):
    """What is read of who signs: `gateway.audit.checkpointing.Checkpointer`."""

    signed: Signed | None


class AuditMetrics(Collector):
    """Makes the families of a worker that keeps the log."""

    def __init__(self, trail: Trail, checkpoints: Checkpoints) -> None:
        self._trail = trail
        self._checkpoints = checkpoints

    def collect(self) -> Iterator[Metric]:
        """The families as they are now. Of the chain's end there are none before the first look at it."""
        records = families.AUDIT_RECORDS.samples()
        for event, count in self._trail.recorded.items():
            records.add((event,), count)
        yield records.metric
        failed = families.AUDIT_FAILED.samples()
        failed.add((), self._trail.refused)
        yield failed.metric
        commits = families.AUDIT_COMMIT.samples()
        commits.add_histogram((), self._trail.commits)
        yield commits.metric
        yield from self._signed()

    def _signed(self) -> Iterator[Metric]:
        signed = self._checkpoints.signed
        if signed is None:
            return
        latest = signed.latest
        for family, value in (
            (families.AUDIT_SEGMENT, signed.head.sequence_number),
            (families.AUDIT_CHECKPOINT, 0 if latest is None else latest.head.sequence_number),
            (families.AUDIT_CHECKPOINT_TIME, 0.0 if latest is None else latest.sign_time),
        ):
            samples = family.samples()
            samples.add((), value)
            yield samples.metric

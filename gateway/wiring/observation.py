"""What watches one worker, from the configuration: metrics, traces, refusals, and by default none of them.

What is off is not there: the access log, the database and the feed are then used as they are.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gateway.application import Application
from gateway.audit.refusals import RefusalCounts
from gateway.audit.trail import ChainTrail
from gateway.clock import Clock
from gateway.config import Settings
from gateway.introspection.feed import RevocationFeedRepository
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.call_counts import CallCounts
from gateway.telemetry.database_times import DatabaseTimes
from gateway.telemetry.feed_lag import TimedFeedRepository
from gateway.telemetry.load import Load
from gateway.telemetry.logs import LogWriter
from gateway.telemetry.metrics_server import serving_metrics
from gateway.telemetry.spans import Tracer
from gateway.telemetry.traced_log import TracedLog
from gateway.tls_files import TlsMaterial
from gateway.wiring.tracing_extra import traces_if_configured
from gateway.worker_link import WorkerIdentity
from signers.durations import Histogram

if TYPE_CHECKING:
    from gateway.telemetry.otlp import Traces


class Server(Protocol):
    """What is read of a server at a scrape: `gateway.rpc.server.GrpcServer`."""

    @property
    def load(self) -> Load:
        """What is under way."""
        ...

    @property
    def material(self) -> TlsMaterial | None:
        """The certificates of the listeners."""
        ...


@dataclass(frozen=True, slots=True)
class Observation:
    """Made by `observing`.

    - `access_log`: for both doors; it counts and marks what the log is given.
    - `tracer`: None where nothing is traced.
    - `times`: for the store; None where nobody looks.
    - `refusals`: what was refused, for the audit log; None where it is not on record.
    """

    settings: Settings
    access_log: AccessLog
    tracer: Tracer | None
    times: DatabaseTimes | None
    refusals: RefusalCounts | None
    _log: AccessLog
    _clock: Clock
    _worker: WorkerIdentity
    _counts: CallCounts | None
    _traces: "Traces | None"
    _feed_lag: Histogram

    def feed(self, repository: RevocationFeedRepository) -> RevocationFeedRepository:
        """*repository*, with its lag measured where metrics are on."""
        if self._counts is None:
            return repository
        return TimedFeedRepository(repository, self._clock, self._feed_lag)

    @asynccontextmanager
    async def serving(self, application: Application, server: Server) -> AsyncIterator[None]:
        """Serve the metrics of both, where that is on, until the end of the block. Raises `ListenError`."""
        if self._counts is None or self.times is None:
            yield
            return
        # Loaded only where it is used: every worker starts faster without.
        from gateway.telemetry.audit_metrics import AuditMetrics  # noqa: PLC0415
        from gateway.telemetry.certificate_metrics import (  # noqa: PLC0415
            CertificateMetrics,
            configured_certificates,
        )
        from gateway.telemetry.exposition import CONTENT_TYPE, exposition  # noqa: PLC0415
        from gateway.telemetry.loop_lag import measuring_lag  # noqa: PLC0415
        from gateway.telemetry.signing_metrics import SigningMetrics  # noqa: PLC0415
        from gateway.telemetry.worker_metrics import DatabaseMetrics, WorkerMetrics  # noqa: PLC0415

        audit: list[AuditMetrics] = []
        if isinstance(application.trail, ChainTrail) and application.checkpointer is not None:
            audit.append(AuditMetrics(application.trail, application.checkpointer))
        keyring, database, lag = application.keyring, application.store.database, Histogram()
        write = exposition(
            WorkerMetrics(
                worker=self._worker,
                calls=self._counts,
                load=lambda: server.load,
                lag=lag,
                dropped_lines=self._dropped_lines,
                spans=None if self._traces is None else self._traces.queue,
            ),
            DatabaseMetrics(self.times, lambda: database.usage, self._feed_lag),
            CertificateMetrics(
                lambda: server.material,
                lambda: keyring.view.records,
                configured_certificates(self.settings),
            ),
            SigningMetrics(lambda: keyring.view, application.signers.health),
            *audit,
        )
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(measuring_lag(lag))
            await stack.enter_async_context(
                serving_metrics(
                    self.settings.metrics.address,
                    write,
                    CONTENT_TYPE,
                    # Twice as many, because workers that drain still have theirs while others start.
                    ports=2 * self.settings.server.workers,
                )
            )
            yield

    def _dropped_lines(self) -> int:
        return self._log.dropped if isinstance(self._log, LogWriter) else 0


@asynccontextmanager
async def observing(
    settings: Settings, access_log: AccessLog, *, clock: Clock, worker: WorkerIdentity
) -> AsyncIterator[Observation]:
    """Watch *worker*, which logs to *access_log*, until the end of the block. Raises `ConfigurationError`."""
    async with traces_if_configured(settings) as traces:
        log = access_log if traces is None else TracedLog(access_log)
        counts = CallCounts(log) if settings.metrics.enabled else None
        log = log if counts is None else counts
        refusals = RefusalCounts(log) if settings.audit.enabled and settings.audit.refusals else None
        yield Observation(
            settings=settings,
            access_log=log if refusals is None else refusals,
            refusals=refusals,
            tracer=None if traces is None else traces.tracer,
            times=None if traces is None and counts is None else DatabaseTimes(),
            _log=access_log,
            _clock=clock,
            _worker=worker,
            _counts=counts,
            _traces=traces,
            _feed_lag=Histogram(),
        )

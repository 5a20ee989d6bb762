"""What is off is not there."""

import subprocess
import sys
import time

import pytest

from gateway.telemetry.call_counts import CallCounts
from gateway.telemetry.feed_lag import TimedFeedRepository
from gateway.telemetry.traced_log import TracedLog
from gateway.wiring.observation import observing
from gateway.worker_link import WorkerIdentity
from tests.support.gateway import RememberingLog, prepare


@pytest.fixture
async def observed(tmp_path):
    """Gives what watches a worker with these sections of a configuration."""

    async def look(**sections):
        prepared = await prepare(tmp_path, key_uri="", **sections)
        return observing(prepared.settings, RememberingLog(), clock=time.time, worker=WorkerIdentity())

    return look


async def test_by_default_nothing_watches(observed):
    """The log, the database and the feed are used as they are."""
    feed = object()
    async with await observed() as observation:
        assert type(observation.access_log) is RememberingLog
        assert (observation.tracer, observation.times) == (None, None)
        assert observation.feed(feed) is feed


async def test_metrics_count_and_trace_nothing(observed):
    """Calls, statements and the feed are counted; no span is begun, and no exporter runs."""
    async with await observed(metrics={"enabled": True}) as observation:
        assert type(observation.access_log) is CallCounts
        assert observation.tracer is None
        assert observation.times is not None
        assert type(observation.feed(object())) is TimedFeedRepository


async def test_traces_count_nothing(observed):
    """Spans are begun; the feed is used as it is."""
    feed = object()
    async with await observed(tracing={"enabled": True}) as observation:
        assert type(observation.access_log) is TracedLog
        assert observation.tracer is not None
        assert observation.times is not None
        assert observation.feed(feed) is feed


def test_a_worker_without_them_loads_neither():
    """Its memory and its start are those of a gateway that cannot do this."""
    program = (
        "import sys; import gateway.worker; "
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'prometheus_client'))])"
    )
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "[]", ran.stdout

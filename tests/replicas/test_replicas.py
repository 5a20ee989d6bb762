"""Three replicas on one PostgreSQL under load and faults: nothing is lost, nothing is doubled.

The long run is `python -m tests.replicas.run --minutes 10`; its figures are in docs/replicas.md.
"""

import pytest

from tests.replicas.faults import FaultKind
from tests.replicas.history import Kind, Outcome
from tests.replicas.run import Run, execute
from tests.support.postgres import PostgresServer, running_postgres


@pytest.fixture
def postgres():
    """A server of the test's own, which is stopped in the middle."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def url(postgres: PostgresServer):
    """An empty database of that server."""
    with postgres.new_database() as made:
        yield made


@pytest.mark.timeout(300)
async def test_a_short_run(tmp_path, postgres, url):
    """A replica killed, one frozen, one replaced by a later program, one cut off, the database crashed and
    migrated: nothing is found.
    """
    run = Run(None, seed=1)
    await execute(run, tmp_path, postgres, url)
    assert "\n".join(map(str, run.violations[:10])) == ""
    assert run.faults.counts.keys() == {
        *(FaultKind.KILL, FaultKind.FREEZE, FaultKind.CRASH_DATABASE),
        *(FaultKind.MIGRATE, FaultKind.UPGRADE, FaultKind.CUT),
    }
    assert {each.kind for each in run.history.attempts if each.outcome is Outcome.OK} >= set(Kind) - {
        *(Kind.REUSE, Kind.DISABLE_KEY)
    }

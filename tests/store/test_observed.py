"""Statements that are timed, each by its name, on both databases."""

import asyncio
import subprocess
import sys

import pytest

from gateway.errors import GatewayError, Reason
from gateway.store import StoreOptions, open_store
from gateway.store.observed import TRANSACTION, statement_names
from gateway.telemetry.database_times import DatabaseTimes
from gateway.telemetry.spans import MAX_CHILDREN, current_span
from gateway.tokens.ports import Revocation
from tests.support.stores import DATABASES, NOW, client, empty_database


class Span:
    """Keeps what is told of its parts."""

    trace_id = "0" * 32

    def __init__(self):
        self.parts = []

    def child(self, name, started, ended, attributes, *, kind, error=""):
        assert started <= ended
        part = Span()
        self.parts.append((name, dict(attributes), error, part))
        return part


@pytest.fixture
def times():
    """What is counted."""
    return DatabaseTimes()


@pytest.fixture(params=DATABASES)
def kind(request):
    """Which database."""
    return request.param


@pytest.fixture
def url(kind, tmp_path):
    """An empty one."""
    with empty_database(kind, tmp_path) as url:
        yield url


@pytest.fixture
async def store(url, times):
    """A store whose statements are timed."""
    options = StoreOptions(purge_grace=0.0)
    async with open_store(url, options=options, migrate=True, times=times, clock=lambda: NOW) as opened:
        times.seconds.clear()
        yield opened


@pytest.fixture
def span():
    """The span of the call under way."""
    span = Span()
    token = current_span.set(span)
    yield span
    current_span.reset(token)


# In a process of its own: tests have statements too.
_NAMES = """
import gc
import gateway.application
from gateway.store.observed import statement_names
from gateway.store.statement import Statement
names = statement_names()
assert {each for each in gc.get_objects() if isinstance(each, Statement)} <= names.keys()
assert len(set(names.values())) == len(names)
assert {"clients.find", "replays.use", "purge.replays"} <= set(names.values())
"""


def test_every_statement_has_a_name():
    """Of its module and constant; none is left over for the name that all others share."""
    subprocess.run([sys.executable, "-c", _NAMES], check=True, timeout=60)


async def test_reads_writes_and_units_of_work(store, kind, times, span):
    """Each is counted once by its name, and is a part of the call; statements of a unit are parts of it."""
    await store.clients.create(client(), None)
    await store.clients.get("backend")
    await store.revocations.revoke(Revocation("token-id-1", None, NOW, NOW - 1))
    assert times.seconds["clients.find"].counts
    assert {name for name, *_ in span.parts} >= {TRANSACTION, "clients.find"}
    (work, *_) = [part for name, _, _, part in span.parts if name == TRANSACTION]
    assert "clients.insert" in {name for name, *_ in work.parts}
    for _, attributes, error, _ in [*span.parts, *work.parts]:
        assert attributes["db.system.name"] == kind
        assert not error
        assert "backend" not in str(attributes)
    assert not times.errors


async def test_purged_rows_are_counted(store, times):
    """By table."""
    for number in range(3):
        await store.revocations.revoke(Revocation(f"id-{number}", None, NOW, NOW - 1))
    assert await store.purge.once() == 3
    assert times.purged == {"revocations": 3}


async def test_a_unit_that_fails(store, times, span):
    """Its reason is counted, and the statement in it that failed by its class; texts are nowhere."""

    async def work(transaction):
        raise GatewayError(Reason.STORE_UNAVAILABLE, "swordfish")

    with pytest.raises(GatewayError):
        await store.database.transaction(work)
    assert times.errors == {(TRANSACTION, "STORE_UNAVAILABLE"): 1}
    assert [(name, error) for name, _, error, _ in span.parts] == [(TRANSACTION, "STORE_UNAVAILABLE")]


async def test_a_statement_that_fails_in_a_unit(store, times):
    """The same reason from the database itself."""
    (insert,) = [each for each, name in statement_names().items() if name == "clients.insert"]

    async def work(transaction):
        await transaction.fetch_one(insert)

    with pytest.raises(Exception):  # noqa: B017, PT011 - a parameter is missing: a defect, whatever it is
        await store.database.transaction(work)
    (inner,) = [reason for statement, reason in times.errors if statement == "clients.insert"]
    assert inner == "KeyError"


async def test_many_statements_have_few_spans(store, times, span):
    """A unit of many is not a span for each; all are counted."""
    (find,) = [each for each, name in statement_names().items() if name == "counters.read"]

    async def work(transaction):
        for _ in range(2 * MAX_CHILDREN):
            await transaction.fetch_one(find, **{find.sqlite.order[0]: "keys"})

    await store.database.transaction(work)
    (unit,) = span.parts
    assert len(unit[3].parts) == MAX_CHILDREN
    assert sum(times.seconds["counters.read"].counts) == 2 * MAX_CHILDREN


async def test_nothing_is_kept_outside_a_traced_call(store, times):
    """Counts only."""
    assert current_span.get() is None
    await store.clients.change_number()
    assert sum(sum(each.counts) for each in times.seconds.values()) == 1


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
async def test_how_much_is_taken(url, times):
    """Of PostgreSQL's connections, and how long one was waited for."""
    options = StoreOptions(pool_max_size=1, command_timeout=5.0, notifications=False)
    async with open_store(url, options=options, migrate=True, times=times) as opened:
        usage = opened.database.usage
        assert (usage.in_use, usage.idle, usage.limit, usage.waiting) == (0, 1, 1, 0)
        seen, go_on = asyncio.Event(), asyncio.Event()

        async def work(transaction):
            seen.set()
            await go_on.wait()

        holding = asyncio.create_task(opened.database.transaction(work))
        await seen.wait()
        late = asyncio.create_task(opened.clients.change_number())
        await asyncio.sleep(0)
        usage = opened.database.usage
        assert (usage.in_use, usage.idle, usage.waiting) == (1, 0, 1)
        assert sum(usage.waits.counts) == 0
        go_on.set()
        await asyncio.gather(holding, late)
        assert sum(opened.database.usage.waits.counts) == 1


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_a_store_that_is_not_watched(url):
    """Its database is the one itself: nothing stands before it."""
    async with open_store(url, migrate=True) as opened:
        assert type(opened.database).__name__ == "SqliteDatabase"

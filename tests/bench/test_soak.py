"""The judgement of a soak."""

import asyncio
from collections import Counter
from pathlib import Path

import grpc
import pytest
from countersign import UnavailableError

from bench.flatness import Bound, trend
from bench.servers import Server
from bench.soak import Series, all_set
from bench.soak_fill import MANY, ROUNDS, WIDTH
from bench.soak_load import Load
from bench.soak_site import Soaked, identities_of, sessions_open
from gateway.enrollment import identifiers
from gateway.limits import peers
from gateway.store import order_document
from gateway.tokens import verification

SECONDS = [0.0, 1.0, 2.0, 3.0, 4.0]


def test_what_grows_is_found():
    """A figure that grows by more than its bound is not flat, and noise around a level is."""
    growing = trend(SECONDS, [10.0, 12.0, 13.9, 16.1, 18.0])
    assert growing.growth == pytest.approx(8.04)
    assert not growing.is_flat(Bound(6.0))
    assert growing.is_flat(Bound(8.5))
    assert trend(SECONDS, [10.0, 14.0, 9.0, 14.0, 10.0]).is_flat(Bound(1.0))
    assert trend(SECONDS, [18.0, 16.0, 14.0, 12.0, 10.0]).is_flat(Bound(0.0))


def test_a_part_of_the_mean():
    """A large figure may grow by a part of itself."""
    assert trend(SECONDS, [100.0, 101.0, 102.0, 103.0, 104.0]).is_flat(Bound(1.0, 0.05))
    assert not trend(SECONDS, [100.0, 102.0, 104.0, 106.0, 108.0]).is_flat(Bound(1.0, 0.05))


def test_two_samples_are_no_trend():
    """Two samples fit every line."""
    with pytest.raises(ValueError, match="three"):
        trend([0.0, 1.0], [1.0, 2.0])


def test_the_warm_up_does_not_count():
    """What grew in the warm-up only is flat."""
    series = Series()
    for second, value in enumerate([1.0, 50.0, 100.0, 100.0, 100.0, 100.0]):
        series.add(float(second), {"files": value})
    assert [row["flat"] for row in series.judge(2.0)] == [True]
    assert [row["flat"] for row in series.judge(0.0)] == [False]


def test_sessions_of_the_last_process_count(tmp_path):
    """Sessions that were opened and not closed, without those of a process before."""
    log = tmp_path / "spy.log"
    calls = ["C_Initialize", *["C_OpenSession"] * 5, "C_Initialize", *["C_OpenSession"] * 3, "C_CloseSession"]
    log.write_text("".join(f"{number}: {call}\nsome detail\n" for number, call in enumerate(calls)))
    assert sessions_open(log) == 2


@pytest.fixture(scope="module")
def load(tmp_path_factory) -> Load:
    folder = tmp_path_factory.mktemp("soak")
    server = Server("nobody", "localhost:1", [], Path("log"), https_address="localhost:1")
    return Load(Soaked(server, 1, None), identities_of(folder), secret="")


def test_everybody_acts_before_a_soak_begins(load: Load):
    """No actor does anything in a soak that was not done before, so that nothing is needed first in it."""
    assert ROUNDS.keys() == load.actors.keys()
    assert min(ROUNDS.values()) > 0


def test_what_is_remembered_is_full_before_a_soak_begins():
    """Each memory of the gateway gets at least as many entries as it holds."""
    assert ROUNDS["many"] * MANY >= verification.CACHE_ENTRIES
    assert ROUNDS["enroll"] >= max(identifiers.REMEMBERED, order_document.REMEMBERED)
    assert ROUNDS["https_reconnect"] >= peers.REMEMBERED


async def test_filling_is_as_crowded_as_the_soak(load: Load):
    """All rounds are done, as many at a time as there are actors and no more."""
    done: Counter[str] = Counter()
    at_once = most = 0

    async def act() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        done["act"] += 1

    await load.fill([("act", act)] * 5 * WIDTH)
    assert (done["act"], most) == (5 * WIDTH, WIDTH)
    assert len(load.actors) == WIDTH


async def test_what_is_refused_while_filling_is_done_again(load: Load):
    """A gateway that has too much to do gets the round a moment later; nothing is missing in the end."""
    asked = 0

    async def act() -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise UnavailableError("Too much.", code=grpc.StatusCode.UNAVAILABLE)

    load.rounds.clear()
    await load.fill([("refused", act)] * 3)
    assert (asked, load.rounds["refused"], dict(load.failures)) == (4, 3, {})


async def test_a_load_that_breaks_ends_the_soak():
    """Nobody waits to be full for a load that has ended."""

    async def broken() -> None:
        raise ValueError("the load is broken")

    task = asyncio.create_task(broken())
    with pytest.raises(ValueError, match="broken"):
        await all_set([asyncio.Event()], [task])


async def test_full_is_full():
    """The wait is over when all gateways are full."""
    events = [asyncio.Event(), asyncio.Event()]
    task = asyncio.create_task(asyncio.Event().wait())
    waiting = asyncio.create_task(all_set(events, [task]))
    events[0].set()
    await asyncio.sleep(0)
    assert not waiting.done()
    events[1].set()
    await waiting
    task.cancel()

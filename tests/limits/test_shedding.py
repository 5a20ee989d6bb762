"""When calls are refused for having waited, and how many."""

import asyncio
from datetime import timedelta

import pytest

from gateway.limits import shedding
from gateway.limits.shedding import LEAST_PAUSE, LEAST_SHARE, PATIENCE, Shedder, watch


def look(shedder, *, waiting=0, taken=100, lag=0.0, elapsed=0.1, times=1):
    for _ in range(times):
        shedder.look(elapsed=elapsed, lag=lag, taken=taken, waiting=waiting)


def admitted(shedder, calls=1000) -> int:
    return sum([shedder.admits() for _ in range(calls)])


def overloaded() -> Shedder:
    """One that has seen a queue of a second for as long as it takes."""
    shedder = Shedder(0.5)
    look(shedder, waiting=1000, times=PATIENCE)
    return shedder


def test_the_wait_is_the_queue_and_the_loops_delay():
    """So many as wait take as long as it took to take as many."""
    shedder = Shedder(0.5)
    look(shedder, waiting=200, taken=100, lag=0.05)
    assert shedder.delay == pytest.approx(0.25)


def test_nothing_is_refused_while_calls_are_taken_in_time():
    """Below the target everything is admitted, for however long."""
    shedder = Shedder(0.5)
    look(shedder, waiting=400, times=100)
    assert admitted(shedder) == 1000


def test_a_burst_is_no_overload():
    """A queue that has gone before patience ends changes nothing."""
    shedder = Shedder(0.5)
    for _ in range(10):
        look(shedder, waiting=5000, times=PATIENCE - 1)
        look(shedder, waiting=0)
    assert admitted(shedder) == 1000


def test_a_standing_queue_is():
    """While calls wait too long, fewer are admitted with each look, down to a part that always is."""
    shedder = overloaded()
    assert admitted(shedder) == 500
    look(shedder, waiting=1000)
    assert admitted(shedder) == 250
    look(shedder, waiting=1000, times=50)
    assert admitted(shedder) == pytest.approx(1000 * LEAST_SHARE, abs=1)


def test_a_late_event_loop_is():
    """A loop that does not come round is overload too, whatever the core's queue."""
    shedder = Shedder(0.5)
    look(shedder, lag=0.6, times=PATIENCE)
    assert admitted(shedder) == 500


def test_a_few_that_wait_are_no_queue():
    """Where calls are rare the few on the way say nothing about the wait."""
    shedder = Shedder(0.5)
    look(shedder, waiting=shedding.MIN_QUEUE - 1, taken=1, times=10)
    assert admitted(shedder) == 1000


def test_nobody_taken():
    """A queue from which nothing was taken for the whole time has waited that long."""
    shedder = Shedder(0.05)
    look(shedder, waiting=100, taken=0, times=PATIENCE)
    assert admitted(shedder) == 500


def test_it_ends_step_by_step():
    """When the queue has gone everything is admitted again within ten looks; a relapse needs no patience."""
    shedder = overloaded()
    look(shedder, times=2)
    assert admitted(shedder) == pytest.approx(700, abs=1)
    look(shedder, waiting=1000)
    assert admitted(shedder) == pytest.approx(350, abs=1)
    look(shedder, times=10)
    assert admitted(shedder) == 1000


def test_the_pause_grows_with_the_wait():
    """Who is refused is told to come when those that wait are through."""
    shedder = overloaded()
    assert shedder.pause == timedelta(seconds=2)
    look(shedder)
    assert shedder.pause == LEAST_PAUSE


def test_it_can_be_off():
    """With a target of 0 nothing is refused for having waited."""
    shedder = Shedder(0)
    look(shedder, waiting=100_000, lag=10, times=100)
    assert admitted(shedder) == 1000


async def test_the_watch_asks_only_when_there_is_something_to_see(monkeypatch):
    """While calls are rare the core is not asked; while they come often it is."""
    monkeypatch.setattr(shedding, "TICK", 0.01)
    asked, taken = asyncio.Event(), [0]

    def waiting() -> int:
        asked.set()
        return 0

    shedder = Shedder(0.5)
    looked = asyncio.Event()
    original = shedder.look

    def look_and_tell(**seen) -> None:
        original(**seen)
        looked.set()

    monkeypatch.setattr(shedder, "look", look_and_tell)
    monkeypatch.setattr(shedding, "BUSY", 10)

    def count() -> int:
        taken[0] += 1000
        return taken[0]

    task = asyncio.create_task(watch(shedder, taken=count, waiting=waiting))
    async with asyncio.timeout(10):
        await asked.wait()
        await looked.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

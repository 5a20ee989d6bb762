"""Deadlines of many tasks with one timer."""

import asyncio

import pytest

from gateway.edge.deadlines import Deadlines


async def test_what_ends_in_time_is_left_alone():
    """A deadline that does not pass changes nothing, and no timer is left behind."""
    deadlines = Deadlines()
    with deadlines.within(10):
        await asyncio.sleep(0)
    assert not deadlines._open


async def test_what_takes_too_long_is_canceled():
    """What still runs when its deadline passes ends with `TimeoutError`; the task itself goes on."""
    deadlines = Deadlines()
    with pytest.raises(TimeoutError), deadlines.within(0.01):
        await asyncio.Event().wait()
    await asyncio.sleep(0)
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


async def test_each_has_its_own():
    """One that passes does not touch the others."""
    deadlines = Deadlines()
    finish = asyncio.Event()

    async def wait(seconds: float) -> str:
        with deadlines.within(seconds):
            await finish.wait()
        return "in time"

    patient = asyncio.create_task(wait(10))
    with pytest.raises(TimeoutError):
        await wait(0.01)
    finish.set()
    assert await patient == "in time"


async def test_a_cancellation_stays_one():
    """Who cancels the task meets no `TimeoutError`, even where the deadline passes in the same moment."""
    deadlines = Deadlines()

    async def wait() -> None:
        with deadlines.within(10) as _:
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    (deadline,) = deadlines._open
    task.cancel()
    deadline.expire()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_its_own_is_kept():
    """What fails before its deadline fails as it did."""
    with pytest.raises(ValueError, match="mine"), Deadlines().within(10):
        raise ValueError("mine")

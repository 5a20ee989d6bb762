"""Calls whose time is over are ended, once; others are left alone."""

import asyncio

import pytest

from gateway.rpc.deadlines import Deadlines


async def stubborn(canceled: list[str], release: asyncio.Event) -> None:
    """A call that goes on when it is canceled, until *release*."""
    while not release.is_set():
        try:
            await release.wait()
        except asyncio.CancelledError:
            canceled.append("canceled")


async def test_a_call_whose_time_is_over_is_canceled_once():
    """However long it takes to end: what it does to end is not disturbed."""
    deadlines, canceled, release = Deadlines(), [], asyncio.Event()
    loop = asyncio.get_running_loop()
    over = asyncio.create_task(stubborn(canceled, release))
    later = asyncio.create_task(asyncio.sleep(0.5, "in time"))
    deadlines.begin(over, loop.time())
    deadlines.begin(later, loop.time() + 60)
    assert await later == "in time"
    assert canceled == ["canceled"]
    release.set()
    await over
    deadlines.finish(over)
    deadlines.finish(later)


async def test_a_call_that_has_ended_is_forgotten():
    """Its task is not canceled for a deadline of a call that it served before."""
    deadlines = Deadlines()
    task = asyncio.create_task(asyncio.sleep(0.4, "done"))
    deadlines.begin(task, asyncio.get_running_loop().time() + 0.2)
    deadlines.finish(task)
    assert await task == "done"


async def test_nothing_runs_where_no_call_is_under_way():
    """The timer ends after the last call, and begins anew with the next."""
    deadlines, loop = Deadlines(), asyncio.get_running_loop()
    first = asyncio.create_task(asyncio.sleep(0))
    deadlines.begin(first, loop.time() + 60)
    await first
    deadlines.finish(first)
    await asyncio.sleep(0.3)
    second = asyncio.create_task(asyncio.sleep(60))
    deadlines.begin(second, loop.time() + 0.1)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(second, 10)
    deadlines.finish(second)

"""The time limits of many signatures, kept by one timer."""

import asyncio

from signers.remote.deadlines import Deadlines
from signers.remote.waiting import Item


def item(seconds: float) -> Item:
    """One whose deadline is *seconds* from now."""
    loop = asyncio.get_running_loop()
    return Item("key", b"m", loop.create_future(), loop.time(), loop.time() + seconds, ())


async def test_each_expires_in_its_turn_and_those_that_are_done_do_not():
    """Whoever has no result at its deadline is told of, in order; the others are not."""
    expired: list[Item] = []
    ended = asyncio.Event()

    def note(which: Item) -> None:
        expired.append(which)
        if which is last:
            ended.set()

    deadlines = Deadlines(note)
    first, done, last = item(0.01), item(0.01), item(0.02)
    for each in (first, done, last):
        deadlines.watch(each)
    done.future.set_result(b"signature")
    await asyncio.wait_for(ended.wait(), 5)
    assert expired == [first, last]


async def test_those_that_are_done_are_not_kept():
    """However many come and go behind one that waits, few are remembered."""
    deadlines = Deadlines(lambda _: None)
    waiting = item(60)
    deadlines.watch(waiting)
    for _ in range(1000):
        each = item(60)
        each.future.set_result(b"signature")
        deadlines.watch(each)
    assert len(deadlines._items) <= 65
    assert deadlines._items[0] is waiting
    deadlines.close()


async def test_closing_ends_the_timer():
    """Nothing expires any more."""
    expired: list[Item] = []
    deadlines = Deadlines(expired.append)
    deadlines.watch(item(0.0))
    deadlines.close()
    deadlines.close()
    await asyncio.sleep(0.01)
    assert not expired

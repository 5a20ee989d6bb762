"""Which threads a pool wakes, and that no job is lost between a thread that rests and one that is woken."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from signers.pkcs11.pool import SessionPool


class Lease:
    """A session that makes every call at once, and is closed when its thread ends."""

    def __init__(self) -> None:
        self.closed = False

    def run(self, call: Callable[[Any], Any], *, key: str) -> Any:
        """The call's own result."""
        del key
        return call(self)

    def close(self) -> None:
        """Remember it."""
        self.closed = True


@asynccontextmanager
async def opened(leases: list[Lease]) -> AsyncIterator[SessionPool]:
    """A pool of one thread for each lease, none of which has anything to do yet."""
    pool = SessionPool("test", leases, max_queue=10_000, timeout=5.0)
    async with asyncio.timeout(5):
        while len(pool._shared.idle) < len(leases):  # noqa: ASYNC110 - threads make it so, and set no event
            await asyncio.sleep(0)
    try:
        yield pool
    finally:
        await pool.aclose()


def _thread(_session: object) -> int:
    return threading.get_ident()


async def test_a_fast_token_is_served_by_one_thread(monkeypatch):
    """However many jobs come at once, no second thread is woken before one has waited for `PATIENCE`."""
    monkeypatch.setattr("signers.pkcs11.pool.PATIENCE", 60.0)
    async with opened([Lease() for _ in range(4)]) as pool:
        threads = await asyncio.gather(*[pool.submit(_thread, key="k") for _ in range(100)])
        assert len(set(threads)) == 1


async def test_a_job_that_waits_wakes_another_thread():
    """A call that hangs holds up no other job: each thread that hangs is followed by the next."""
    gate = threading.Event()
    async with opened([Lease() for _ in range(3)]) as pool:
        hanging = [pool.submit(lambda _: gate.wait(5), key="k") for _ in range(2)]
        async with asyncio.timeout(5):
            await pool.submit(_thread, key="k")
        assert not any(future.done() for future in hanging)
        gate.set()
        assert all(await asyncio.gather(*hanging))


async def test_no_job_is_lost_where_threads_fall_idle():
    """Jobs that come one by one, each as a thread is about to rest, are all served."""
    async with opened([Lease() for _ in range(4)]) as pool, asyncio.timeout(8):
        for number in range(500):
            assert await pool.submit(lambda _, number=number: number, key="k") == number
            if number % 7 == 0:
                await asyncio.gather(*[pool.submit(_thread, key="k") for _ in range(3)])


async def test_closing_ends_every_thread_and_serves_what_was_admitted():
    """Threads that rest are woken to end, and close their sessions; what was queued before has its result."""
    leases = [Lease() for _ in range(4)]
    async with opened(leases) as pool:
        jobs = [pool.submit(_thread, key="k") for _ in range(50)]
        await pool.aclose()
        assert len(await asyncio.gather(*jobs)) == len(jobs)
    assert all(lease.closed for lease in leases)
    assert not any(worker.is_alive() and not worker.ended.done() for worker in pool._workers)

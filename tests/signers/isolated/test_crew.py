"""Which keys are slow, and the threads that sign with them."""

import threading
import time

from signers.isolated.crew import SLOW, WINDOW, Crew, Pace


class Lease:
    """A session of which only the end is seen."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        """Remember it."""
        self.closed = True


def test_a_key_is_slow_while_even_its_fastest_signature_is():
    """One fast signature in a window says that the others had to wait, and that the key is fast."""
    pace = Pace()
    for _ in range(WINDOW):
        assert not pace.slow
        pace.add(SLOW * 5)
    assert pace.slow
    for _ in range(WINDOW - 1):
        pace.add(SLOW * 5)
    pace.add(SLOW / 2)
    assert not pace.slow


def test_jobs_run_at_once_on_all_threads_and_stuck_ones_are_counted():
    """As many jobs as threads run together; those inside for longer than asked count as stuck."""
    leases = [Lease() for _ in range(3)]
    crew = Crew(leases)
    assert crew.free == 3
    barrier, gate, finished = threading.Barrier(4), threading.Event(), threading.Semaphore(0)

    def job(_: object) -> bool:
        barrier.wait(5)
        gate.wait(5)
        finished.release()
        return False

    for _ in range(3):
        crew.submit(job)
    barrier.wait(5)
    assert (crew.free, crew.stuck(60)) == (0, 0)
    end = time.monotonic() + 5
    while crew.stuck(0.01) < 3:
        assert time.monotonic() < end
    gate.set()
    for _ in range(3):
        assert finished.acquire(timeout=5)
    crew.close(5)
    assert all(lease.closed for lease in leases)

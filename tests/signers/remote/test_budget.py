"""The budget of requests: how many may be made now, and when the next."""

import pytest

from signers.remote.budget import Budget


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_burst_then_rate(clock):
    """A full bucket gives its burst at once, and then as many as the rate fills."""
    budget = Budget(10, 3, clock)
    assert [budget.take() for _ in range(4)] == [True, True, True, False]
    assert budget.delay() == pytest.approx(0.1)
    clock.now += 0.1
    assert budget.take()
    assert not budget.take()


def test_delay_of_several(clock):
    """The delay of n requests is the time until the last of them."""
    budget = Budget(10, 2, clock)
    assert budget.delay(2) == 0
    assert budget.delay(7) == pytest.approx(0.5)


def test_never_fuller_than_the_burst(clock):
    """However long nothing was asked, no more than the burst is saved up."""
    budget = Budget(10, 2, clock)
    clock.now += 1000
    assert budget.left == 2


def test_pause(clock):
    """While the service wants a pause nothing is taken, and the longer pause counts."""
    budget = Budget(10, 2, clock)
    budget.pause(2)
    budget.pause(1)
    assert (budget.left, budget.take(), budget.delay()) == (0, False, 2)
    clock.now += 2
    assert budget.take()


def test_without_a_limit(clock):
    """Without a rate everything may be made at once, except during a pause."""
    budget = Budget(None, 1, clock)
    assert [budget.take() for _ in range(1000)] == [True] * 1000
    assert budget.left is None
    budget.pause(1)
    assert not budget.take()


async def test_wait():
    """`wait` takes a request as soon as there is one."""
    budget = Budget(200, 1)
    for _ in range(5):
        await budget.wait()
    assert budget.left < 1

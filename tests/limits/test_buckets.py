"""Token buckets: rate, burst, debts, and a bounded table."""

import pytest

from gateway.limits.buckets import TokenBuckets


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def buckets(clock, *, rate=2.0, burst=3, callers=100) -> TokenBuckets:
    return TokenBuckets(rate, burst, callers=callers, clock=clock)


def test_a_burst_then_the_rate(clock):
    """A full bucket gives its burst at once, then one token per interval, and says how long that is."""
    made = buckets(clock)
    assert [made.take("a") for _ in range(3)] == [0, 0, 0]
    wait = made.take("a")
    assert wait == pytest.approx(0.5)
    clock.now += wait
    assert made.take("a") == 0
    assert made.take("a") == pytest.approx(0.5)


def test_a_refusal_takes_nothing(clock):
    """However often a caller is refused, its wait does not grow."""
    made = buckets(clock, burst=1)
    made.take("a")
    assert {round(made.take("a"), 6) for _ in range(10)} == {0.5}


def test_a_bucket_holds_no_more_than_its_burst(clock):
    """After a long pause there is one burst, and not what was not used."""
    made = buckets(clock)
    made.take("a")
    clock.now += 1e6
    assert [made.take("a") > 0 for _ in range(4)] == [False, False, False, True]


def test_callers_do_not_share(clock):
    """What one caller has used up another still has."""
    made = buckets(clock, burst=1)
    assert made.take("a") == 0
    assert made.take("b") == 0
    assert made.take("a") > 0


def test_many_tokens_at_once(clock):
    """A batch takes as many as it has items, or none."""
    made = buckets(clock)
    assert made.take("a", 2) == 0
    assert made.take("a", 2) == pytest.approx(0.5)
    assert made.take("a", 1) == 0


def test_a_batch_larger_than_the_burst(clock):
    """It goes through a full bucket only, which then owes the rest: on average the rate holds."""
    made = buckets(clock)
    assert made.take("a", 10) == 0
    assert made.take("a") == pytest.approx((10 - 3 + 1) / 2)
    clock.now += 5 - 0.01
    assert made.take("a", 10) > 0
    clock.now += 0.02
    assert made.take("a", 10) == 0


def test_looking_takes_nothing(clock):
    """`wait` tells what `take` would, and changes nothing."""
    made = buckets(clock, burst=1)
    assert made.wait("a") == made.wait("a") == 0
    made.take("a")
    assert made.wait("a") == pytest.approx(0.5)
    assert len(made) == 1


def test_full_buckets_are_forgotten_first(clock):
    """Where the table has no room, the buckets that are full again go, and the others stay as they are."""
    made = buckets(clock, rate=1.0, burst=10, callers=3)
    made.take("spent", 10)
    made.take("old")
    made.take("older")
    clock.now += 1.5
    made.take("new")
    assert len(made) == 2
    assert made.take("spent", 10) == pytest.approx(8.5)


def test_a_flood_of_names_resets_nobody(clock):
    """With every place taken the callers that come share one bucket and get one burst together; nobody who
    is in the table gets a new one, and the table does not grow.
    """
    made = buckets(clock, rate=1.0, burst=2, callers=3)
    for name in ("a", "b", "c"):
        made.take(name, 2)
    flood = [made.take(f"name-{number}") for number in range(1000)]
    assert flood.count(0) == 2
    assert len(made) == 3
    assert [made.take(name) > 0 for name in ("a", "b", "c")] == [True, True, True]


def test_room_comes_back(clock):
    """Once buckets of the table are full again, new callers have one of their own."""
    made = buckets(clock, rate=1.0, burst=1, callers=1)
    made.take("a")
    assert made.take("b") == 0
    assert made.take("c") > 0
    clock.now += 1.1
    assert made.take("b") == 0
    assert made.take("c") == 0
    assert made.take("d") > 0

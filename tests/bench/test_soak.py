"""The judgement of a soak."""

import pytest

from bench.flatness import Bound, trend
from bench.soak import Series
from bench.soak_site import sessions_open

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

"""Times as they are stored."""

import math

import pytest

from gateway.store.database import MAX_MICROSECONDS, to_microseconds, to_seconds


@pytest.mark.parametrize("seconds", [0.0, 1.5, 1_900_000_000.123456, 253_402_300_799.999])
def test_microseconds_survive(seconds):
    """A time with six decimals is read back as the same float."""
    assert to_seconds(to_microseconds(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "stored"),
    [(1e300, MAX_MICROSECONDS), (math.inf, MAX_MICROSECONDS), (-1.0, 0), (-math.inf, 0)],
)
def test_times_are_clamped_to_what_is_stored(seconds, stored):
    """A peer's absurd time is kept as the furthest one that there is."""
    assert to_microseconds(seconds) == stored


def test_no_number_is_no_time():
    """NaN is refused."""
    with pytest.raises(ValueError, match="NaN"):
        to_microseconds(math.nan)

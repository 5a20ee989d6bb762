"""The policy of repetition, without a network: the clock and the draw are arguments."""

from datetime import timedelta

import grpc
import pytest
from countersign import RetryPolicy, UnavailableError
from countersign.retry import Attempts


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def unavailable(retry_after: float | None = None) -> UnavailableError:
    wait = None if retry_after is None else timedelta(seconds=retry_after)
    return UnavailableError("No.", code=grpc.StatusCode.UNAVAILABLE, retry_after=wait)


def attempts(clock: Clock, draw: float = 1.0, timeout: float = 10.0, **policy) -> Attempts:
    return Attempts(RetryPolicy(**policy), timeout, repeatable=True, clock=clock, draw=lambda: draw)


class TestAttempts:
    """The attempts of one call."""

    def test_pauses_grow_to_their_bound(self):
        """Each pause doubles the one before, up to the longest."""
        call = attempts(Clock(), max_attempts=6, initial_backoff=0.5, max_backoff=2.0)
        assert [call.pause_after(unavailable()) for _ in range(6)] == [0.5, 1.0, 2.0, 2.0, 2.0, None]

    def test_pauses_are_drawn(self):
        """A pause is the drawn part of its bound, down to nothing."""
        assert attempts(Clock(), 0.5, initial_backoff=0.4).pause_after(unavailable()) == 0.2
        assert attempts(Clock(), 0.0, initial_backoff=0.4).pause_after(unavailable()) == 0.0

    def test_retry_info_is_waited_for_in_full(self):
        """What the gateway asks for is a floor: the drawn pause comes on top."""
        call = attempts(Clock(), 0.5, initial_backoff=0.4)
        assert call.pause_after(unavailable(3.0)) == pytest.approx(3.2)

    def test_pause_that_reaches_the_deadline_is_refused(self):
        """There is no attempt at or after the deadline."""
        assert attempts(Clock(), timeout=1.0, initial_backoff=1.0).pause_after(unavailable()) is None
        assert attempts(Clock(), timeout=1.1, initial_backoff=1.0).pause_after(unavailable()) == 1.0

    def test_remaining_runs_down_to_zero(self):
        """What remains follows the clock and is never negative."""
        clock = Clock()
        call = attempts(clock, timeout=2.0)
        clock.now += 1.5
        assert call.remaining() == 0.5
        clock.now += 1.0
        assert call.remaining() == 0.0


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"max_attempts": 0}, "max_attempts"),
        ({"initial_backoff": 0.0}, "initial_backoff"),
        ({"initial_backoff": 3.0}, "initial_backoff"),
        ({"multiplier": 0.5}, "multiplier"),
    ],
)
def test_policy_without_sense_is_refused(bad, message):
    """A policy that would never call, or never pause, cannot be made."""
    with pytest.raises(ValueError, match=message):
        RetryPolicy(**bad)

"""Failing fast while a service is down."""

import pytest

from signers.remote.circuit import FIRST_PAUSE, MAX_PAUSE, THRESHOLD, Circuit, Verdict


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def opened():
    clock = Clock()
    circuit = Circuit(clock)
    for _ in range(THRESHOLD):
        circuit.failed("down")
    return circuit, clock


def test_closed_until_the_threshold():
    """Fewer failures than the threshold, or failures with a success between them, change nothing."""
    circuit = Circuit(Clock())
    for _ in range(THRESHOLD - 1):
        circuit.failed("down")
    assert circuit.verdict is Verdict.CLOSED
    circuit.succeeded()
    circuit.failed("down")
    assert circuit.verdict is Verdict.CLOSED


def test_open_then_trial_then_closed():
    """After the pause one trial is due, and its success closes the circuit."""
    circuit, clock = opened()
    assert (circuit.verdict, circuit.retry_after, circuit.last_fault) == (Verdict.OPEN, FIRST_PAUSE, "down")
    clock.now += FIRST_PAUSE
    assert circuit.verdict is Verdict.TRIAL
    circuit.succeeded()
    assert (circuit.verdict, circuit.last_fault) == (Verdict.CLOSED, "")


def test_pauses_double_up_to_a_bound():
    """Each failed trial doubles the pause, up to `MAX_PAUSE`; a success begins anew."""
    circuit, clock = opened()
    for _ in range(20):
        clock.now += circuit.retry_after
        circuit.failed("still down")
    assert circuit.retry_after == MAX_PAUSE
    circuit.succeeded()
    for _ in range(THRESHOLD):
        circuit.failed("down")
    assert circuit.retry_after == pytest.approx(FIRST_PAUSE)


def test_stragglers_do_not_lengthen_the_pause():
    """Requests that were under way when the circuit opened and fail after it count for nothing."""
    circuit, _ = opened()
    for _ in range(10):
        circuit.failed("down too")
    assert circuit.retry_after == FIRST_PAUSE

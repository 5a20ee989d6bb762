"""Failing fast while a service is down."""

import pytest

from signers.remote.circuit import FIRST_PAUSE, MAX_PAUSE, THRESHOLD, Circuit, Verdict


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Service:
    """A circuit and its clock; each failure is of a request made after the one before."""

    def __init__(self):
        self.clock = Clock()
        self.circuit = Circuit(self.clock)

    def fail(self, times=1, fault="down", **how):
        for _ in range(times):
            begun = self.clock.now
            self.clock.now += 0.001
            self.circuit.failed(fault, begun=begun, **how)


@pytest.fixture
def service():
    return Service()


def test_closed_until_the_threshold(service):
    """Fewer failures than the threshold, or failures with a success between them, change nothing."""
    service.fail(THRESHOLD - 1)
    assert service.circuit.verdict is Verdict.CLOSED
    service.circuit.succeeded()
    service.fail(THRESHOLD - 1)
    assert service.circuit.verdict is Verdict.CLOSED


def test_open_then_trial_then_closed(service):
    """After the pause one trial is due, and its success closes the circuit."""
    service.fail(THRESHOLD)
    circuit = service.circuit
    assert (circuit.verdict, circuit.last_fault) == (Verdict.OPEN, "down")
    assert circuit.retry_after == pytest.approx(FIRST_PAUSE)
    service.clock.now += FIRST_PAUSE
    assert circuit.verdict is Verdict.TRIAL
    circuit.succeeded()
    assert (circuit.verdict, circuit.last_fault) == (Verdict.CLOSED, "")


def test_pauses_double_up_to_a_bound(service):
    """Each failed trial doubles the pause, up to `MAX_PAUSE`; a success begins anew."""
    service.fail(THRESHOLD)
    for _ in range(20):
        service.clock.now += service.circuit.retry_after
        service.fail()
    assert service.circuit.retry_after == pytest.approx(MAX_PAUSE)
    service.circuit.succeeded()
    service.fail(THRESHOLD)
    assert service.circuit.retry_after == pytest.approx(FIRST_PAUSE)


def test_failing_together_counts_once(service):
    """Requests that were under way together and fail together are one failure."""
    begun = service.clock.now
    for _ in range(10 * THRESHOLD):
        service.clock.now += 0.001
        service.circuit.failed("reset", begun=begun)
    assert service.circuit.verdict is Verdict.CLOSED


def test_stragglers_do_not_lengthen_the_pause(service):
    """Requests that were under way when the circuit opened and fail after it count for nothing."""
    begun = service.clock.now
    service.fail(THRESHOLD)
    until = service.clock.now + service.circuit.retry_after
    for silent in (False, True):
        service.circuit.failed("down too", begun=begun, silent=silent)
    assert service.clock.now + service.circuit.retry_after == pytest.approx(until)


def test_silence_is_proof_enough(service):
    """A service that answered nobody within two requests' time is down; one that answered others is not."""
    begun = service.clock.now
    service.clock.now += 3
    service.circuit.succeeded()
    service.circuit.failed("slow", begun=begun, silent=True)
    assert service.circuit.verdict is Verdict.CLOSED
    service.fail(silent=True)
    assert service.circuit.verdict is Verdict.CLOSED
    service.fail(silent=True)
    assert service.circuit.verdict is Verdict.OPEN


def test_silence_for_all_is_no_straggling(service):
    """Requests that were under way together and all heard nothing open the circuit."""
    begun = service.clock.now
    service.clock.now += 3
    for _ in range(2):
        service.circuit.failed("silent", begun=begun, silent=True)
    assert service.circuit.verdict is Verdict.OPEN

"""The thread that verifies."""

import threading

from signers.isolated.verifier import Verifier


def test_closing_waits_for_what_was_submitted_and_a_fault_ends_nothing(caplog):
    """A job that fails is logged, those behind it are done, and the thread ends at the close."""
    done: list[int] = []

    def fault() -> None:
        raise RuntimeError("a fault of ours")

    verifier = Verifier()
    verifier.start()
    gate = threading.Event()
    verifier.submit(lambda: done.append(gate.wait(5)))
    verifier.submit(fault)
    verifier.submit(lambda: done.append(2))
    gate.set()
    verifier.close(5)
    assert not verifier.is_alive()
    assert done == [True, 2]
    assert "a fault of ours" in caplog.text

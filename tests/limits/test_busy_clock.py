"""For how long a thread was busy."""

import time

import pytest

from gateway.limits import busy_clock
from gateway.limits.busy_clock import busy_seconds


def spin(seconds):
    """Work for so many seconds of processor time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.mark.parametrize("there", [True, False])
def test_work_counts(tmp_path, monkeypatch, there):
    """At least the time that the thread ran, with the kernel's figures and without."""
    if not there:
        monkeypatch.setattr(busy_clock, "_SCHEDSTAT", tmp_path / "schedstat")
    before = busy_seconds()
    spin(0.05)
    assert busy_seconds() - before >= 0.04  # The kernel brings its figures up to date with each tick.


def test_waiting_for_a_processor_counts(tmp_path, monkeypatch):
    """What the thread ran and what it waited to run are added up, in seconds."""
    file = tmp_path / "schedstat"
    file.write_text("1500000000 250000000 12\n", encoding="ascii")
    monkeypatch.setattr(busy_clock, "_SCHEDSTAT", file)
    assert busy_seconds() == 1.75

"""What is measured of enrollment is a real one, and stands in the results beside all else."""

import pytest

from bench import enrollment, report
from bench.facts import ReplyError


async def test_figures_of_a_short_run():
    """Each case has calls, and the ratio is the whole enrollment's to the bare loop's."""
    figures = await enrollment.measure(seconds=0.2, rounds=1, calls=2)

    assert set(figures["cases"]) == set(enrollment.NAMES)
    assert all(case["calls_per_second"] > 0 for case in figures["cases"].values())
    assert all(case["p50_ms"] <= case["p99_ms"] for case in figures["cases"].values())
    assert 0 < figures["cpu_ratios"][enrollment.RATIO] < 1
    assert set(figures["ratios"]) == set(figures["targets"]) == {enrollment.RATIO}


async def test_the_table_shows_them():
    """They have the shape of every other case."""
    figures = await enrollment.measure(seconds=0.1, rounds=1, calls=1)
    machine = {"cpus": 2, "cpu": "x", "python": "3", "packages": {"grpcio": "1"}}
    settings = {"workers": 1, "concurrency": 1, "rounds": 1, "seconds": 0.1}

    shown = report.table(figures | {"servers": {}, "machine": machine, "settings": settings})

    assert "whole enrollment" in shown
    assert enrollment.RATIO in shown


async def test_a_refused_enrollment_is_no_figure(monkeypatch):
    """A run whose answers are not accepted fails."""
    monkeypatch.setattr(enrollment, "NAME", "Mallory")

    with pytest.raises((ReplyError, ExceptionGroup)):
        await enrollment.measure(seconds=0.1, rounds=1, calls=1)

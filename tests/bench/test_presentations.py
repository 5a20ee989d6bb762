"""What is measured of presentations is a real verification, and stands in the results beside all else."""

from bench import presentations, report


async def test_figures_of_a_short_run():
    """Each case has calls, an answer costs more than its signatures, and the table shows the ratio."""
    figures = await presentations.measure(seconds=0.3, rounds=1, calls=4)

    assert set(figures["cases"]) == set(presentations.NAMES)
    assert all(case["calls_per_second"] > 0 for case in figures["cases"].values())
    assert set(figures["ratios"]) == set(figures["targets"]) == {presentations.RATIO}
    assert figures["ratios"][presentations.RATIO] > 0
    machine = {"cpus": 2, "cpu": "x", "python": "3", "packages": {"grpcio": "1"}}
    settings = {"workers": 1, "concurrency": 1, "rounds": 1, "seconds": 0.1}
    shown = report.table(figures | {"servers": {}, "machine": machine, "settings": settings})
    assert presentations.RATIO in shown

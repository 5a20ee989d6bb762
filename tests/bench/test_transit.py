"""What is measured of Transit is a real server, and stands in the results beside all else."""

from bench import report, transit


async def test_figures_of_a_short_run():
    """Each case has calls, batches are ahead of single signatures, and the table shows the ratio."""
    figures = await transit.measure(seconds=0.3, rounds=1, callers=16)

    assert set(figures["cases"]) == set(transit.NAMES)
    assert all(case["calls_per_second"] > 0 for case in figures["cases"].values())
    assert set(figures["ratios"]) == set(figures["targets"]) == {transit.RATIO}
    machine = {"cpus": 2, "cpu": "x", "python": "3", "packages": {"grpcio": "1"}}
    settings = {"workers": 1, "concurrency": 1, "rounds": 1, "seconds": 0.1}
    shown = report.table(figures | {"servers": {}, "machine": machine, "settings": settings})
    assert transit.RATIO in shown

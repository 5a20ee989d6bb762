"""What is measured of SoftHSM through the signer stands beside the bare loop."""

from bench import report, softhsm_signer


async def test_figures_of_a_short_run():
    """Each case has calls, each ratio is there, and the table shows the one that is aimed at."""
    figures = await softhsm_signer.measure(seconds=0.3, rounds=1, callers=16)

    assert set(figures["cases"]) == set(softhsm_signer.NAMES)
    assert all(case["calls_per_second"] > 0 for case in figures["cases"].values())
    assert set(figures["ratios"]) == set(figures["cpu_ratios"]) > set(figures["targets"])
    machine = {"cpus": 2, "cpu": "x", "python": "3", "packages": {"grpcio": "1"}}
    settings = {"workers": 1, "concurrency": 1, "rounds": 1, "seconds": 0.1}
    shown = report.table(figures | {"servers": {}, "machine": machine, "settings": settings})
    assert softhsm_signer.RATIO in shown

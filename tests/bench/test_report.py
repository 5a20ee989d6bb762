"""The figures of a run, from measurements that are known."""

import pytest

from bench.cases import CASES
from bench.generators import Load, Window
from bench.report import Measurement, Plan, ServerFigures, cpu_ratios, document, ratios, table

EMPTY, MINT, BATCH = (
    next(case for case in CASES if case.name == name)
    for name in ("empty", "mint_file_eddsa", "batch_mint_100")
)


def measurement(calls: int, *, seconds: float = 1.0, cpu: float = 0.5, latencies=(1_000,)) -> Measurement:
    return Measurement(Window(calls, seconds, 0.25, tuple(latencies), ()), cpu)


def test_a_ratio_is_the_median_of_the_ratios_of_each_round():
    """A round in which the whole machine was slow moves no ratio."""
    measured = {
        "empty": [measurement(1_000), measurement(100), measurement(1_000)],
        "mint_file_eddsa": [measurement(600), measurement(60), measurement(700)],
    }
    assert ratios([EMPTY, MINT], measured) == {"mint_file_eddsa_vs_empty": 0.6}


def test_a_cpu_ratio_compares_calls_for_the_same_cpu_time():
    """A case that takes twice the CPU time for each call has half the ratio, however fast either came."""
    measured = {"empty": [measurement(1_000, cpu=0.5)], "mint_file_eddsa": [measurement(900, cpu=0.9)]}
    assert cpu_ratios([EMPTY, MINT], measured) == {"mint_file_eddsa_vs_empty": 0.5}


def test_a_batch_counts_its_tokens():
    """10 calls of 100 tokens are ten times 100 calls of one."""
    measured = {"mint_file_eddsa": [measurement(100)], "batch_mint_100": [measurement(10)]}
    assert ratios([MINT, BATCH], measured) == {"batch_mint_100_vs_mint": 10.0}


@pytest.mark.parametrize(("percent", "expected"), [(50, 0.051), (99, 0.1)])
def test_a_percentile_is_the_latency_that_so_many_calls_did_not_exceed(percent, expected):
    """Of latencies from 1 to 100 microseconds, in milliseconds."""
    assert measurement(100, latencies=range(1, 101)).percentile_ms(percent) == expected


def test_the_document_holds_medians_settings_and_the_machine():
    """What bench/results.json promises is there, and the table can be made from it."""
    load = Load(generators=1, channels=2, calls_per_channel=16, warm_up=0.5, seconds=3.0)
    plan = Plan([EMPTY, MINT], load, rounds=1, workers=1, access_log=True)
    measured = {"empty": [measurement(1_000, cpu=0.25)], "mint_file_eddsa": [measurement(500)]}
    servers = {"empty": ServerFigures(0.1, [50 * 2**20], [60 * 2**20])}
    results = document(plan, measured, servers)
    assert results["ratios"] == {"mint_file_eddsa_vs_empty": 0.5}
    assert results["cases"]["empty"]["server_cpu_us_per_call"] == 250.0
    assert results["servers"]["empty"] == {
        "ready_seconds": 0.1,
        "rest_rss_mib": [50.0],
        "peak_rss_mib": [60.0],
    }
    assert results["settings"]["concurrency"] == 32
    assert results["machine"]["packages"]["grpcio"]
    assert "missed" in table(results)

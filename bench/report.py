"""Turns measurements into figures: medians, ratios, a table for people and a document for machines."""

import importlib.metadata
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from bench.cases import RATIOS, Case
from bench.generators import Load, Window

MIB = 1024 * 1024

_PACKAGES = (
    "countersign-gateway",
    "grpcio",
    "protobuf",
    "uvloop",
    "cryptography",
    "sqlalchemy",
    "python-pkcs11",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure: each of `cases` in `rounds` windows of `load`, with `workers` processes a server."""

    cases: Sequence[Case]
    load: Load
    rounds: int
    workers: int
    access_log: bool


@dataclass(frozen=True, slots=True)
class Measurement:
    """One window of one case, with the CPU seconds that the server's processes used in it."""

    window: Window
    server_cpu_seconds: float

    @property
    def calls_per_second(self) -> float:
        return self.window.calls / self.window.seconds

    def percentile_ms(self, percent: int) -> float:
        """The latency in milliseconds that *percent* of the calls did not exceed."""
        latencies = self.window.latencies_us
        return latencies[min(len(latencies) - 1, len(latencies) * percent // 100)] / 1000


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """Memory in bytes, per process, largest first; time from start to the first good reply in seconds."""

    ready_seconds: float
    rest_bytes: Sequence[int]
    peak_bytes: Sequence[int]


def case_figures(case: Case, measurements: Sequence[Measurement]) -> dict[str, Any]:
    """The medians over the rounds, and each round's throughput."""

    def middle(values: Sequence[float], digits: int) -> float:
        return round(median(values), digits)

    rates = [measurement.calls_per_second for measurement in measurements]
    return {
        "title": case.title,
        "calls_per_second": middle(rates, 1),
        "tokens_per_call": case.items,
        "tokens_per_second": middle([rate * case.items for rate in rates], 1),
        "p50_ms": middle([measurement.percentile_ms(50) for measurement in measurements], 3),
        "p99_ms": middle([measurement.percentile_ms(99) for measurement in measurements], 3),
        "server_cpu_us_per_call": middle(
            [1e6 * each.server_cpu_seconds / each.window.calls for each in measurements], 1
        ),
        "server_cpus_busy": middle(
            [each.server_cpu_seconds / each.window.seconds for each in measurements], 3
        ),
        "generator_cpus_busy": middle(
            [each.window.generator_cpu_seconds / each.window.seconds for each in measurements], 3
        ),
        "calls_per_second_by_round": [round(rate, 1) for rate in rates],
    }


def ratios(cases: Sequence[Case], measured: Mapping[str, Sequence[Measurement]]) -> dict[str, float]:
    """Tokens per second of one case over another's: the median of the ratios of each round.

    Cases of one round run within seconds of each other, so that what else the machine does weighs on both.
    """
    return _ratios(cases, measured, lambda measurement: measurement.calls_per_second)


def cpu_ratios(cases: Sequence[Case], measured: Mapping[str, Sequence[Measurement]]) -> dict[str, float]:
    """The same for tokens per second of server CPU time, which a busy machine disturbs less."""
    return _ratios(cases, measured, lambda each: each.window.calls / each.server_cpu_seconds)


def _ratios(
    cases: Sequence[Case],
    measured: Mapping[str, Sequence[Measurement]],
    calls_per: Callable[[Measurement], float],
) -> dict[str, float]:
    items = {case.name: case.items for case in cases}
    found = {}
    for ratio in RATIOS:
        if ratio.case in measured and ratio.base in measured:
            pairs = zip(measured[ratio.case], measured[ratio.base], strict=True)
            per_round = [calls_per(one) / calls_per(base) for one, base in pairs]
            found[ratio.name] = round(median(per_round) * items[ratio.case] / items[ratio.base], 3)
    return found


def document(
    plan: Plan, measured: Mapping[str, Sequence[Measurement]], servers: Mapping[str, ServerFigures]
) -> dict[str, Any]:
    """All of it, as bench/results.json holds it."""
    return {
        "ratios": ratios(plan.cases, measured),
        "cpu_ratios": cpu_ratios(plan.cases, measured),
        "targets": {ratio.name: ratio.target for ratio in RATIOS if ratio.target is not None},
        "cases": {case.name: case_figures(case, measured[case.name]) for case in plan.cases},
        "servers": {
            name: {
                "ready_seconds": round(figures.ready_seconds, 3),
                "rest_rss_mib": [round(size / MIB, 1) for size in figures.rest_bytes],
                "peak_rss_mib": [round(size / MIB, 1) for size in figures.peak_bytes],
            }
            for name, figures in servers.items()
        },
        "settings": {
            **asdict(plan.load),
            "concurrency": plan.load.concurrency,
            "rounds": plan.rounds,
            "workers": plan.workers,
            "access_log": plan.access_log,
            "tls": "mutual TLS, P-256 certificates",
        },
        "machine": _machine(),
    }


def _machine() -> dict[str, Any]:
    return {
        "cpus": os.cpu_count(),
        "cpu": _cpu_model(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MIB,
        "load_average_at_end": [round(load, 2) for load in os.getloadavg()],
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - a file of the kernel
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def table(results: Mapping[str, Any]) -> str:
    """*results* of `document` for a terminal."""
    lines = [*_case_lines(results["cases"]), "", *_server_lines(results["servers"])]
    if results["ratios"]:
        lines += ["", *_ratio_lines(results)]
    return "\n".join([*lines, "", _setting_line(results["machine"], results["settings"])])


def _setting_line(machine: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    return (
        f"{machine['cpus']} CPUs ({machine['cpu']}), Python {machine['python']}, "
        f"grpcio {machine['packages']['grpcio']}; {settings['workers']} worker(s), "
        f"{settings['concurrency']} calls under way, median of {settings['rounds']} round(s) "
        f"of {settings['seconds']:g} s."
    )


def _case_lines(cases: Mapping[str, Any]) -> list[str]:
    measures = f"{'calls/s':>9}{'tokens/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'CPU us/call':>13}"
    lines = [f"{'':48}{measures}{'server CPUs':>13}{'load CPUs':>11}"]
    lines += [
        f"{case['title']:48}{case['calls_per_second']:>9,.0f}{case['tokens_per_second']:>10,.0f}"
        f"{case['p50_ms']:>9.2f}{case['p99_ms']:>9.2f}{case['server_cpu_us_per_call']:>13,.0f}"
        f"{case['server_cpus_busy']:>13.2f}{case['generator_cpus_busy']:>11.2f}"
        for case in cases.values()
    ]
    return lines


def _server_lines(servers: Mapping[str, Any]) -> list[str]:
    lines = [f"{'':48}{'ready s':>9}{'at rest MiB':>13}{'peak MiB':>10}   (largest process)"]
    lines += [
        f"{name:48}{figures['ready_seconds']:>9.2f}{figures['rest_rss_mib'][0]:>13.0f}"
        f"{figures['peak_rss_mib'][0]:>10.0f}"
        for name, figures in servers.items()
    ]
    return lines


def _ratio_lines(results: Mapping[str, Any]) -> list[str]:
    lines = [f"{'ratio of tokens':48}{'per s':>9}{'per CPU s':>11}{'aim per s':>11}"]
    for name, value in results["ratios"].items():
        target = results["targets"].get(name)
        aim = "" if target is None else f"{target:>11.2f}  {'reached' if value >= target else 'missed'}"
        lines.append(f"{name:48}{value:>9.2f}{results['cpu_ratios'][name]:>11.2f}{aim}")
    return lines

"""Windows of calls that this process makes by itself, without a load generator, and their figures."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any

Step = Callable[[], Awaitable[None]]


class Figures:
    """One window: wall-clock and CPU seconds of this process, and the latency of each call in seconds."""

    def __init__(self, seconds: float, cpu_seconds: float, latencies: list[float]) -> None:
        self.per_second = len(latencies) / seconds
        self.cpu_us = cpu_seconds / len(latencies) * 1e6
        self.latencies = sorted(latencies)

    def percentile_ms(self, percent: int) -> float:
        """As `bench.report.Measurement.percentile_ms`."""
        return self.latencies[min(len(self.latencies) - 1, len(self.latencies) * percent // 100)] * 1e3


async def window(step: Step, seconds: float, calls: int) -> Figures:
    """Run *step* by *calls* at once until *seconds* are over or there is nothing left to do."""
    latencies: list[float] = []
    started, cpu = time.perf_counter(), time.process_time()

    async def worker() -> None:
        while (now := time.perf_counter()) < started + seconds:
            try:
                await step()
            except StopIteration:
                return
            latencies.append(time.perf_counter() - now)

    async with asyncio.TaskGroup() as group:
        for _ in range(calls):
            group.create_task(worker())
    return Figures(time.perf_counter() - started, time.process_time() - cpu, latencies)


def case_of(title: str, windows: Sequence[Figures]) -> dict[str, Any]:
    """As `bench.report.case_figures`; there is no other process that would make the load."""

    def middle(values: Iterator[float], digits: int) -> float:
        return round(median(values), digits)

    rate = middle((each.per_second for each in windows), 1)
    return {
        "title": title,
        "calls_per_second": rate,
        "tokens_per_call": 1,
        "tokens_per_second": rate,
        "p50_ms": middle((each.percentile_ms(50) for each in windows), 3),
        "p99_ms": middle((each.percentile_ms(99) for each in windows), 3),
        "server_cpu_us_per_call": middle((each.cpu_us for each in windows), 1),
        "server_cpus_busy": middle((each.cpu_us * each.per_second / 1e6 for each in windows), 3),
        "generator_cpus_busy": 0.0,
        "calls_per_second_by_round": [round(each.per_second, 1) for each in windows],
    }


def document_of(
    windows: Sequence[Mapping[str, Figures]],
    titles: Mapping[str, str],
    *,
    ratio: tuple[str, float],
    measured: str,
    base: str,
) -> dict[str, Any]:
    """Figures as `bench.report.document` has them: *ratio*, a name and its aim, is *measured* over *base*."""
    name, target = ratio
    per_second = median(each[measured].per_second / each[base].per_second for each in windows)
    per_cpu = median(each[base].cpu_us / each[measured].cpu_us for each in windows)
    return {
        "ratios": {name: round(per_second, 3)},
        "cpu_ratios": {name: round(per_cpu, 3)},
        "targets": {name: target},
        "cases": {case: case_of(title, [each[case] for each in windows]) for case, title in titles.items()},
    }

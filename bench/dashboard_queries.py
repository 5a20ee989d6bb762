"""The panels of docs/dashboards/countersign.json, and what Prometheus answers to their queries."""

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

DASHBOARD: Final = Path(__file__).resolve().parents[1] / "docs" / "dashboards" / "countersign.json"
_LABEL: Final = re.compile(r"{{\s*(\w+)\s*}}")
_TIMEOUT: Final = 30.0


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL with Grafana's variables in it, and how Grafana names what comes back."""

    expression: str
    legend: str

    def expanded(self, rate_interval: str) -> str:
        """The PromQL that Grafana would send with every job and worker chosen."""
        text = self.expression.replace("$__rate_interval", rate_interval)
        return text.replace("$job", ".+").replace("$instance", ".+")

    def name(self, labels: Mapping[str, str]) -> str:
        """The name of a series in the legend."""
        return _LABEL.sub(lambda match: labels.get(match[1], ""), self.legend).strip()


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel in its place: *x*, *y*, *width* and *height* in Grafana's grid of 24 columns."""

    title: str
    kind: str
    unit: str
    stacked: bool
    x: int
    y: int
    width: int
    height: int
    queries: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """What Prometheus has of one series: its name, and its points of time and value."""

    name: str
    points: tuple[tuple[float, float], ...]


def panels(file: Path = DASHBOARD) -> list[Panel]:
    """Every panel of *file*, rows included, in order."""
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return [_panel(each) for each in document["panels"]]


def _panel(document: Mapping[str, Any]) -> Panel:
    place = document["gridPos"]
    defaults = document.get("fieldConfig", {}).get("defaults", {})
    stacking = defaults.get("custom", {}).get("stacking", {})
    return Panel(
        document["title"],
        document["type"],
        defaults.get("unit", ""),
        stacking.get("mode") == "normal",
        place["x"],
        place["y"],
        place["w"],
        place["h"],
        tuple(Query(each["expr"], each["legendFormat"]) for each in document.get("targets", ())),
    )


class Prometheus:
    """The HTTP API of a server at *address* (``host:port``). Blocks."""

    def __init__(self, address: str) -> None:
        self._base = f"http://{address}/api/v1/"
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def range(
        self, query: Query, *, start: float, end: float, step: float, rate_interval: str
    ) -> list[Series]:
        """The series of *query* between two times, in seconds since the epoch."""
        asked = {"query": query.expanded(rate_interval), "start": start, "end": end, "step": step}
        found = self._ask("query_range", asked)["result"]
        return [Series(query.name(each["metric"]), _points(each["values"])) for each in found]

    def now(self, query: Query, *, rate_interval: str) -> list[Series]:
        """The last value of each series of *query*."""
        found = self._ask("query", {"query": query.expanded(rate_interval)})["result"]
        return [Series(query.name(each["metric"]), _points([each["value"]])) for each in found]

    def names(self) -> frozenset[str]:
        """The names of all metrics that it has."""
        return frozenset(self._ask("label/__name__/values", {}))

    def targets_up(self) -> int:
        """How many targets answered their last scrape."""
        return sum(each["health"] == "up" for each in self._ask("targets", {})["activeTargets"])

    def _ask(self, path: str, parameters: Mapping[str, object]) -> Any:
        encoded = urllib.parse.urlencode(parameters)
        with self._open(f"{self._base}{path}?{encoded}", timeout=_TIMEOUT) as response:
            return json.load(response)["data"]


def _points(values: Sequence[Sequence[Any]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(time), float(value)) for time, value in values)

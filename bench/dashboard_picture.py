"""Draws the panels of the dashboard with what Prometheus has for them: a page of HTML, pictured by Chromium.

It is no Grafana: lines, axes and legends are drawn here, in the places and with the queries of the dashboard.
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from pathlib import Path
from typing import Final

from bench.dashboard_queries import Panel, Prometheus, Series, panels

_COLUMN: Final = 66
_ROW: Final = 30
"""Pixels of a cell of Grafana's grid."""
_COLORS: Final = (
    "#3274d9", "#e0752d", "#37872d", "#c4162a", "#8f3bb8", "#0f7c8a",
    "#b7950b", "#6e4b1f", "#e5489b", "#5f6b7a", "#1f60c4", "#fa9b42",
)  # fmt: skip
_LEGEND: Final = 6
_TICKS: Final = 4
_MARGIN: Final = 52
_STYLE: Final = """
body{margin:0;background:#f4f5f5;font:12px sans-serif;color:#24292e;position:relative}
.row,.panel{position:absolute;box-sizing:border-box}
.row{font-weight:bold;font-size:14px;padding:6px 4px}
.panel{background:#fff;border:1px solid #dcdee0;border-radius:3px;padding:6px 8px;overflow:hidden}
.title{font-weight:bold;height:16px;white-space:nowrap;overflow:hidden}
.legend{font-size:10px;line-height:13px;max-height:52px;overflow:hidden}
.legend span{margin-right:8px;white-space:nowrap}
.stats{display:flex;flex-wrap:wrap;gap:6px;padding-top:24px}
.stat{flex:1;text-align:center;min-width:90px}.stat b{display:block;font-size:26px;color:#37872d}
.stat b.low{color:#c4162a}
.none{color:#8a9097;text-align:center;padding-top:70px}
"""


@dataclass(frozen=True, slots=True)
class Span:
    """What is shown: seconds since the epoch, and the distance of two points."""

    start: float
    end: float
    step: float
    rate_interval: str


def draw(server: Prometheus, shown: Span, output: Path) -> None:
    """Ask *server* every query, and write the picture to *output*. Blocks."""
    every = panels()
    body = "".join(_placed(panel, _content(server, panel, shown)) for panel in every)
    height = max(panel.y + panel.height for panel in every) * _ROW + 10
    page = f"<!doctype html><meta charset=utf-8><style>{_STYLE}</style><body>{body}"
    _photograph(page, 24 * _COLUMN, height, output)


def _photograph(page: str, width: int, height: int, output: Path) -> None:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "dashboard.html"
        file.write_text(page, encoding="utf-8")
        subprocess.run(
            [
                program,
                "--headless",
                "--no-sandbox",  # It shows one file that was written here, also as root.
                "--disable-gpu",
                "--hide-scrollbars",
                f"--user-data-dir={folder}/profile",
                f"--window-size={width},{height}",
                f"--screenshot={output.absolute()}",
                file.as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )


def _placed(panel: Panel, content: str) -> str:
    place = (
        f"left:{panel.x * _COLUMN}px;top:{panel.y * _ROW}px;width:{panel.width * _COLUMN - 4}px;"
        f"height:{panel.height * _ROW - 4}px"
    )
    if panel.kind == "row":
        return f'<div class=row style="{place}">{escape(panel.title)}</div>'
    return f'<div class=panel style="{place}"><div class=title>{escape(panel.title)}</div>{content}</div>'


def _content(server: Prometheus, panel: Panel, shown: Span) -> str:
    if panel.kind == "row":
        return ""
    if panel.kind == "stat":
        found = [
            each for query in panel.queries for each in server.now(query, rate_interval=shown.rate_interval)
        ]
        return _stats(found, panel.unit)
    found = [
        each
        for query in panel.queries
        for each in server.range(
            query, start=shown.start, end=shown.end, step=shown.step, rate_interval=shown.rate_interval
        )
    ]
    usable = [each for each in map(_finite, found) if each.points]
    return _chart(usable, panel, shown) if usable else "<div class=none>No data</div>"


def _finite(series: Series) -> Series:
    """Without what is no number: a quantile of nothing is NaN."""
    return Series(series.name, tuple((at, value) for at, value in series.points if value == value))  # noqa: PLR0124


def _stats(found: Sequence[Series], unit: str) -> str:
    low = 14.0
    cells = "".join(
        f"<div class=stat><b{' class=low' if unit == 'd' and each.points[-1][1] < low else ''}>"
        f"{_number(each.points[-1][1], unit)}</b>{escape(each.name)}</div>"
        for each in found
    )
    return f"<div class=stats>{cells}</div>"


def _chart(found: Sequence[Series], panel: Panel, shown: Span) -> str:
    width = panel.width * _COLUMN - 22
    height = panel.height * _ROW - 92
    drawn = _stack(found) if panel.stacked else found
    top = max((value for each in drawn for _, value in each.points), default=0.0) * 1.1 or 1.0

    def x(at: float) -> float:
        return _MARGIN + (at - shown.start) / (shown.end - shown.start) * (width - _MARGIN - 4)

    def y(value: float) -> float:
        return height - 16 - max(0.0, value) / top * (height - 22)

    marks = []
    for tick in range(_TICKS + 1):
        value, at = top * tick / _TICKS, shown.start + (shown.end - shown.start) * tick / _TICKS
        marks.append(
            f'<line x1={_MARGIN} x2={width} y1={y(value):.1f} y2={y(value):.1f} stroke="#e7e8ea"/>'
            f"<text x={_MARGIN - 4} y={y(value) + 3:.1f} text-anchor=end>{_number(value, panel.unit)}</text>"
        )
        if tick < _TICKS:
            clock = time.strftime("%H:%M:%S", time.gmtime(at))
            marks.append(f"<text x={x(at):.1f} y={height - 2}>{clock}</text>")
    lines = [_line(each, x, y, _COLORS[n % len(_COLORS)], shown.step) for n, each in enumerate(drawn)]
    inside = "".join([*marks, *lines])
    return (
        f'<svg width={width} height={height} font-size=9 fill="#5f6b7a">{inside}</svg>'
        f"<div class=legend>{_legend(found, panel.unit)}</div>"
    )


def _line(
    series: Series, x: Callable[[float], float], y: Callable[[float], float], color: str, step: float
) -> str:
    """The series as a line, broken where points are missing; a dot where one stands alone."""
    path = []
    last: float | None = None
    for at, value in series.points:
        begins = last is None or at - last > 1.5 * step
        path.append(f"{'M' if begins else 'L'}{x(at):.1f} {y(value):.1f}")
        last = at
    if len(series.points) == 1:
        at, value = series.points[0]
        return f'<circle cx={x(at):.1f} cy={y(value):.1f} r=2 fill="{color}"/>'
    return f'<path d="{"".join(path)}" fill=none stroke="{color}" stroke-width=1.3 />'


def _stack(found: Sequence[Series]) -> list[Series]:
    """Each series on top of those before it."""
    times = sorted({at for each in found for at, _ in each.points})
    values: list[Mapping[float, float]] = [dict(each.points) for each in found]
    sums = {at: list(accumulate(each.get(at, 0.0) for each in values)) for at in times}
    return [
        Series(each.name, tuple((at, sums[at][number]) for at in times)) for number, each in enumerate(found)
    ]


def _legend(found: Sequence[Series], unit: str) -> str:
    shown = " ".join(
        f'<span><i style="color:{_COLORS[n % len(_COLORS)]}">■</i> '
        f"{escape(_short(each.name))} {_number(each.points[-1][1], unit)}</span>"
        for n, each in enumerate(found[:_LEGEND])
    )
    return shown + (f" <span>and {len(found) - _LEGEND} more</span>" if len(found) > _LEGEND else "")


def _short(name: str) -> str:
    return name.replace("countersign.v1.", "")


def _number(value: float, unit: str) -> str:
    """*value* with its unit, in three digits."""
    if unit == "s":
        return next(
            (f"{value * scale:.3g} {name}" for limit, scale, name in _TIMES if value < limit),
            f"{value:.3g} s",
        )
    if unit == "bytes":
        return f"{value / 2**20:.3g} MiB"
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "d":
        return f"{value:.1f} d"
    digits = f"{value:,.0f}" if value >= _MANY else f"{value:.4g}"
    return f"{digits}{'/s' if unit in {'reqps', 'ops', 'rowsps'} else ''}"


_MANY: Final = 1e4
_TIMES: Final = ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms"))

"""What the timeline says, as charts: each a spec that chart.js draws, and the same as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.api.pages import figures
from app.api.pages.asked import HOUR_MS
from app.store import grains, rollups

STEP_MS = {grains.HOUR: HOUR_MS, grains.DAY: 24 * HOUR_MS, grains.WEEK: 7 * 24 * HOUR_MS}
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Chart:
    """The arguments of parts.html's `chart`."""

    id: str
    title: str
    spec: dict[str, Any]
    head: list[str]
    rows: list[list[str]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of the timeline's rows."""

    id: str
    title: str
    key: str
    unit: str
    shown: Callable[[float | None], str]
    kind: str = "line"
    #: key of [low, high]
    interval: str | None = None
    log: bool = False
    note: str = ""


SHARE = Measure("share", "Share of the calls", "share", "share", figures.share, kind="area")
P50 = Measure("p50", "Latency, p50", "latencyP50", "ms", figures.ms, log=True)
P95 = Measure("p95", "Latency, p95", "latencyP95", "ms", figures.ms, log=True)
SUCCESS = Measure(
    "success", "Success, with its interval", "success", "share", figures.share, interval="successInterval"
)
COST = Measure("cost", "Cost", "cost", "USD", figures.usd)
QUALITY = Measure("quality", "Quality, as graded", "quality", "share", figures.share)


def of_timeline(found: Mapping[str, Any], measure: Measure, colours: Mapping[str, int], source: str) -> Chart:
    """One line for each target that has the figure."""
    steps = _steps(found)
    rows = [row for row in found["rows"] if row["source"] == source]
    names = list(dict.fromkeys(_target(row) for row in sorted(rows, key=lambda row: colours.get(_target(row), 99))))
    table = {(row["at"], _target(row)): row for row in rows}
    lines = [_line(name, [table.get((at, name)) for at in steps], measure, colours) for name in names]
    lines = [line for line in lines if any(value is not None for value in line["values"])]
    spec = {
        "x": [at // 1000 for at in steps] if lines else [],
        "unit": measure.unit,
        "kind": measure.kind,
        "log": measure.log,
        "series": lines,
        "markers": marks(found["markers"]),
    }
    return Chart(measure.id, measure.title, spec, *_table(steps, lines, measure.shown), measure.note)


def _steps(found: Mapping[str, Any]) -> list[int]:
    return list(range(found["from"], found["to"], STEP_MS[found["step"]]))


def _target(row: Row) -> str:
    return f"{row['provider']}/{row['model']}"


def _line(name: str, rows: Sequence[Row | None], measure: Measure, colours: Mapping[str, int]) -> dict[str, Any]:
    values = [None if row is None else row[measure.key] for row in rows]
    line: dict[str, Any] = {"label": figures.visible(name), "hue": colours.get(name, len(colours)), "values": values}
    if measure.interval is not None:
        ends = [None if row is None else row[measure.interval] for row in rows]
        line |= {"low": [end and end[0] for end in ends], "high": [end and end[1] for end in ends]}
    return line


def _table(
    steps: Sequence[int], lines: Sequence[Mapping[str, Any]], shown: Callable[[float | None], str]
) -> tuple[list[str], list[list[str]]]:
    """Steps with nothing in them are left out; the newest first."""
    rows = [
        [moment(at), *(shown(line["values"][place]) for line in lines)]
        for place, at in enumerate(steps)
        if any(line["values"][place] is not None for line in lines)
    ]
    return ["time (UTC)", *(line["label"] for line in lines)], rows[::-1]


def moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


#: markers that something is wrong
_BAD = {"breaker_open", "refused", "needs_person", "reliability", "degraded", "failed", "budget"}


def marks(markers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """On the axis: changes and trouble. Rounds come every hour and would hide both."""
    return [
        {
            "at": each["at"] / 1000,
            "label": figures.visible(each["text"]),
            "kind": "bad" if each["kind"] in _BAD else each["kind"],
        }
        for each in markers
        if each["kind"] != "round"
    ]


def best_source(found: Mapping[str, Any]) -> str:
    """Live traffic where there is some, else what rounds measured."""
    return rollups.LIVE if any(row["source"] == rollups.LIVE for row in found["rows"]) else rollups.BENCHMARK

"""/better: what routing gave beside other ways to choose, per day, week and month."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask import Response, request

from app.api.current import gateway
from app.api.pages.asked import HOUR_MS, RANGES, Asked, asked
from app.api.pages.blueprint import block, drawn, live, page, pages
from app.api.pages.charts import Chart, moment
from app.api.system.comparing import baselines_json
from app.domain import shown
from app.errors import InvalidRequest

#: measure → what it is called, and how its figure and half the width of its interval are written
MEASURES = {
    "latencyMs": ("latency, mean", shown.ms),
    "p50Ms": ("latency, p50", shown.ms),
    "p95Ms": ("latency, p95", shown.ms),
    "costUsd": ("cost per call", shown.usd),
    "success": ("success", shown.share),
    "quality": ("quality", shown.share),
    "utility": ("utility", shown.points),
}
CALLED = {
    "first": "always the first",
    "cheapest": "always the cheapest",
    "best": "the best one in hindsight",
    "random": "one at random",
}
#: s between two looks of open pages
LOOK_S = 30.0
#: into which the time that is looked at is divided: it slides on by whole ones
STEPS = 60
CLASSES = {"better": "good", "worse": "bad", "cannot tell": "quiet"}


BY = {"day": "day", "week": "week", "month": "month"}
#: measure → unit of chart.js; what has none is signed points of utility
UNITS = {"latencyMs": "ms", "p50Ms": "ms", "p95Ms": "ms", "costUsd": "USD", "success": "share", "quality": "share"}
#: days of the time that is looked at, up to which a series is by day, by week; of one day there is none
BY_DAY, BY_WEEK = 31, 120


@pages.get("/better")
def better() -> Response:
    """What is looked at stands in the URL: the time, the steps of the series, its measure."""
    seen = asked()
    return page(
        "better",
        "Better?",
        rows=dict(rows(seen)),
        steps=BY,
        measure=_measure(),
        measures={key: name for key, (name, _) in MEASURES.items()},
    )


@live("better", every_s=LOOK_S)
def rows(seen: Asked) -> Iterator[tuple[str, str]]:
    """All of it: every figure moves with the requests."""
    start, end = _whole_steps(seen)
    by = _by(seen)
    given = {"from": str(start), "to": str(end), **({"by": by} if by else {})}
    found = baselines_json(gateway().services, given)
    if len(found["series"]) > 1:
        yield "over-time", drawn("charts.html", "drawn", over_time(found["series"], _measure(), by or ""))
    shown = block(
        "better.html",
        "found",
        asked=seen,
        called=RANGES,
        found=found,
        routing=[(name, _figure(found["routing"][key], write)) for key, (name, write) in MEASURES.items()],
        baselines=[_baseline(each) for each in found["baselines"]],
    )
    yield "found", shown


def _whole_steps(seen: Asked) -> tuple[int, int]:
    """Intervals depend on where the time is cut: as it slides on they stand until another request comes.

    Of more than a day sums are read, which are cut at whole hours and days as it is.
    """
    if not seen.range or RANGES[seen.range][1] > 24 * HOUR_MS:
        return seen.from_ms, seen.to_ms
    step = RANGES[seen.range][1] // STEPS
    return seen.from_ms // step * step, -(-seen.to_ms // step) * step


def _by(seen: Asked) -> str | None:
    days = (seen.to_ms - seen.from_ms) / (24 * HOUR_MS)
    default = "" if days < 2 else "day" if days <= BY_DAY else "week" if days <= BY_WEEK else "month"
    return _one_of("by", {"": "", **BY}, default) or None


def _measure() -> str:
    return _one_of("measure", MEASURES, "utility")


def _one_of(name: str, known: Mapping[str, Any], default: str) -> str:
    """Raises InvalidRequest that names the parameter."""
    given = request.args.get(name) or default
    if given not in known:
        raise InvalidRequest(f"{name} must be one of {', '.join(filter(None, known))}: got {given[:50]!r}", field=name)
    return given


def over_time(series: Sequence[Mapping[str, Any]], measure: str, by: str) -> Chart:
    """Routing less each baseline, period by period, with its interval; the newest first in the table."""
    called, write = MEASURES[measure]
    of = [{each["name"]: each["differences"][measure] for each in period["baselines"]} for period in series]
    names = [name for name in CALLED if any(name in each for each in of)]
    lines = [_line(name, hue, [each.get(name, {}) for each in of]) for hue, name in enumerate(names)]
    spec = {
        "x": [period["from"] // 1000 for period in series],
        "unit": UNITS.get(measure, "count"),
        "kind": "line",
        "signed": True,
        "series": [line for line in lines if any(value is not None for value in line["values"])],
    }
    rows = [
        [moment(period["from"]), f"{period['requests']:,}", *(_told(each.get(name), write) for name in names)]
        for period, each in zip(series, of, strict=True)
    ]
    head = ["from (UTC)", "requests", *(CALLED[name] for name in names)]
    note = "Above 0: routing has more of it. Where a band holds 0, nobody can tell."
    return Chart("over-time", f"Routing less each, in {called}, by {by}", spec, head, rows[::-1], note)


def _line(name: str, hue: int, each: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    columns = {"values": "value", "low": "low", "high": "high"}
    return {
        "label": CALLED[name],
        "hue": hue,
        **{column: [one.get(key) for one in each] for column, key in columns.items()},
    }


def _told(difference: Mapping[str, Any] | None, write: Any) -> str:
    if difference is None or difference["value"] is None:
        return "cannot tell"
    return f"{_interval(difference, write)}: {difference['verdict']}"


def _baseline(each: dict[str, Any]) -> dict[str, Any]:
    return {
        **each,
        "called": CALLED[each["name"]],
        "rows": [
            _row(name, write, each["values"][key], each["differences"][key]) for key, (name, write) in MEASURES.items()
        ],
        "saved": [_saved(each["saved"]["usd"], shown.usd, "money"), _saved(each["saved"]["hours"], _hours, "time")],
    }


def _row(name: str, write: Any, value: float | None, difference: dict[str, Any]) -> dict[str, Any]:
    verdict = difference["verdict"]
    return {
        "name": name,
        "value": _figure(value, write),
        "difference": _interval(difference, write),
        "verdict": verdict,
        "class": CLASSES[verdict],
    }


def _interval(each: Mapping[str, Any], write: Any) -> str:
    if each["value"] is None:
        return "–"
    return f"{_signed(each['value'], write)} (between {_signed(each['low'], write)} and {_signed(each['high'], write)})"


def _signed(value: float, write: Any) -> str:
    return f"{'−' if value < 0 else '+'}{write(abs(value))}"


def _saved(each: dict[str, Any], write: Any, what: str) -> str:
    if each["value"] is None or each["low"] <= 0 <= each["high"]:
        return f"{what} saved: cannot tell"
    ends = f"between {write(abs(each['low']))} and {write(abs(each['high']))}"
    return f"{what} {'saved' if each['value'] > 0 else 'lost'}: {write(abs(each['value']))} ({ends})"


def _hours(value: float) -> str:
    return f"{value:,.1f} h" if value >= 1 else f"{value * 60:.1f} min"


def _figure(value: float | None, write: Any) -> str:
    return "–" if value is None else str(write(value))

"""/better: what routing gave beside other ways to choose, per day, week and month."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response

from app.api.current import gateway
from app.api.pages.asked import RANGES, Asked, asked
from app.api.pages.blueprint import block, live, page, pages
from app.api.system.comparing import baselines_json
from app.domain import shown

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


@pages.get("/better")
def better() -> Response:
    """The time that is looked at stands in the URL."""
    return page("better", "Better?", rows=dict(rows(asked())))


@live("better", every_s=LOOK_S)
def rows(seen: Asked) -> Iterator[tuple[str, str]]:
    """All of it: every figure moves with the requests."""
    start, end = _whole_steps(seen)
    found = baselines_json(gateway().services, {"from": str(start), "to": str(end)})
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
    """Intervals depend on where the time is cut: as it slides on they stand until another request comes."""
    if not seen.range:
        return seen.from_ms, seen.to_ms
    step = RANGES[seen.range][1] // STEPS
    return seen.from_ms // step * step, -(-seen.to_ms // step) * step


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


def _interval(each: dict[str, Any], write: Any) -> str:
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

"""/requests/ID: why one request went where it went: scores by their parts, attempts over time, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response

from app.api.pages.blueprint import page, pages
from app.api.requests import found_request
from app.domain import shown

#: part of a score → class of its bar, and how people call it
PARTS = {
    "latency": ("part-latency", "latency"),
    "cost": ("part-cost", "cost"),
    "reliability": ("part-quality", "success × quality"),
}


@pages.get("/requests/<request_id>")
def request_detail(request_id: str) -> Response:
    """The same as `tooloo explain`."""
    found = found_request(request_id)
    why = found["explanation"]
    return page(
        "request_detail",
        "Request",
        found=found,
        why=why,
        served=f"{found['provider']}/{found['model']}" if found["provider"] else None,
        chance=_chance(why),
        weights={name: shown.share(value) for name, value in (why.get("weights") or {}).items()},
        candidates=[_candidate(each, why) for each in why["candidates"]],
        bars=waterfall(found),
    )


def _chance(why: Mapping[str, Any]) -> str:
    if why.get("propensity") is None:
        return ""
    text = f"to be first with probability {shown.share(why['propensity'])}"
    rate = f"exploration {shown.share(why['explorationRate'])}"
    return f"⚄ explored: it was {text} ({rate})" if why.get("explored") else f"it was {text} ({rate})"


def _candidate(each: Mapping[str, Any], why: Mapping[str, Any]) -> dict[str, Any]:
    """With its bar, and all that is said of it."""
    name = f"{each['provider']}/{each['model']}"
    parts, score = each.get("parts") or {}, each.get("score")
    made = shown.adding_up(list(parts.values()), score or 0.0, 3) if parts else []
    told = [
        (kind, value, f"{shown.points(value)} {word}")
        for (kind, word), value in zip(PARTS.values(), made, strict=False)
    ]
    used_up = (why.get("quota") or {}).get(name)
    return {
        **each,
        "name": name,
        "bar": told,
        "made": " + ".join(text for _, _, text in told),
        "told": [
            *each.get("reasons", []),
            *([used_up] if used_up else []),
            *([each["why"]] if each.get("why") else []),
        ],
        "struck": not each["eligible"] or used_up is not None,
        "known": each.get("evidence") or {},
    }


def waterfall(found: Mapping[str, Any]) -> dict[str, Any]:
    """Attempts on the request's time, in shares of it; `own_ms`: when none of them ran, which is ours."""
    total = max(found["latency"] or 0.0, 0.1)
    rows, end = [], 0.0
    busy: list[tuple[float, float]] = []
    for attempt in found["attempts"]:
        start = attempt.get("start", end)
        end = start + attempt["latency"]
        error = attempt.get("error") or {}
        called = error.get("code") != "unsupported"
        rows.append(
            {
                "name": f"{attempt['provider']}/{attempt['model']}",
                "x": 100 * min(start, total) / total,
                "width": 100 * max(0.0, min(end, total) - min(start, total)) / total,
                "start": start,
                "latency": attempt["latency"],
                "success": attempt["success"],
                "end": "answered"
                if attempt["success"]
                else f"{error.get('code', 'client gone')}: {error.get('message', '')}",
                "called": called,
            }
        )
        busy += [(start, min(end, total))] if called else []
    return {"rows": rows, "own_ms": max(0.0, total - _covered(busy)), "total_ms": total}


def _ended(success: bool, error: Mapping[str, str]) -> str:
    if success:
        return "answered"
    return f"{error['code']}: {error['message']}" if error else "client gone"


def _covered(spans: list[tuple[float, float]]) -> float:
    """Length of what at least one of them covers."""
    covered, reached = 0.0, 0.0
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return covered

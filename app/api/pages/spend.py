"""/spend: what live traffic and rounds cost together, and what is left of the budget of rounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Response, request

from app.api.current import gateway
from app.api.pages import figures
from app.api.pages.asked import HOUR_MS, Asked, asked
from app.api.pages.blueprint import drawn, live, page, pages
from app.api.pages.charts import Chart, moment
from app.api.system.spend import spend_json
from app.live.live_config import to_ms

DAY_MS = 24 * HOUR_MS
#: what the chart is of
DAYS = "day,provider"
#: s between two looks of open pages
LOOK_S = 30.0
#: how the table may be told apart
BY = {
    "provider": "provider",
    "provider,model": "provider and model",
    "key": "key",
    "segment": "segment",
    "day": "day",
    DAYS: "day and provider",
}


@pages.get("/spend")
def spend() -> Response:
    """USD over time by provider, and a table by what is asked for."""
    seen = asked()
    found, by = _found(seen), _by()
    return page("spend", "Spend", rows=_rows(seen, found), is_empty=not found["spend"], found=found, choices=BY, by=by)


@live("spend", every_s=LOOK_S)
def rows(seen: Asked) -> Iterator[tuple[str, str]]:
    yield from _rows(seen, _found(seen)).items()


def _rows(seen: Asked, found: Mapping[str, Any]) -> dict[str, str]:
    """`shape` is another where the page has other parts."""
    made = {
        "shape": drawn("parts.html", "shape", "full" if found["spend"] else "empty"),
        "sums": drawn("spend_rows.html", "sums", found),
        "failed": drawn("spend_rows.html", "failed", found["failures"], seen.span),
    }
    if not found["spend"]:
        return made
    days = found if found["by"] == DAYS.split(",") else _found(seen, DAYS)
    chart = drawn("charts.html", "drawn", over_days(days))
    return {**made, "spend": chart, "table": drawn("spend_rows.html", "table", found)}


def _by() -> str:
    return request.args.get("by") or "provider"


def _found(seen: Asked, by: str = "") -> dict[str, Any]:
    given = {"from": str(seen.from_ms), "to": str(seen.to_ms), "by": by or _by()}
    return spend_json(gateway().services, given)


def over_days(found: Mapping[str, Any]) -> Chart:
    """Of each provider, one on top of the other."""
    days = range(found["from"], found["to"], DAY_MS) if found["spend"] else ()
    usd: dict[tuple[str, int], float] = {}
    for row in found["spend"]:
        at = to_ms(datetime.fromisoformat(row["day"]).replace(tzinfo=UTC))
        usd[row["provider"], at] = usd.get((row["provider"], at), 0.0) + row["totalUsd"]
    names = sorted({name for name, _ in usd})
    series = [
        {"label": figures.visible(name) or "nobody", "hue": hue, "values": [usd.get((name, at), 0.0) for at in days]}
        for hue, name in enumerate(names)
    ]
    spec = {"x": [at // 1000 for at in days], "unit": "USD", "kind": "bars", "log": False, "series": series}
    rows = [
        [moment(at)[:10], *(figures.usd(line["values"][place]) for line in series)]  # type: ignore[index]  # a list
        for place, at in enumerate(days)
    ]
    return Chart(
        "spend", "USD per day, rounds included", spec, ["day (UTC)", *(n or "nobody" for n in names)], rows[::-1]
    )

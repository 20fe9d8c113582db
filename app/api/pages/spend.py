"""/spend: what live traffic and rounds cost together, and what is left of the budget of rounds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Response, request

from app.api.current import gateway
from app.api.pages import figures
from app.api.pages.asked import HOUR_MS, asked
from app.api.pages.blueprint import page, pages
from app.api.pages.charts import Chart, moment
from app.api.system.spend import spend_json
from app.live.live_config import to_ms

DAY_MS = 24 * HOUR_MS
#: how the table may be told apart
BY = {
    "provider": "provider",
    "provider,model": "provider and model",
    "key": "key",
    "segment": "segment",
    "day": "day",
    "day,provider": "day and provider",
}


@pages.get("/spend")
def spend() -> Response:
    """USD over time by provider, and a table by what is asked for."""
    seen = asked()
    by = request.args.get("by") or "provider"
    span = {"from": str(seen.from_ms), "to": str(seen.to_ms)}
    services = gateway().services
    return page(
        "spend",
        "Spend",
        found=spend_json(services, {**span, "by": by}),
        chart=over_days(spend_json(services, {**span, "by": "day,provider"})),
        choices=BY,
        by=by,
    )


def over_days(found: Mapping[str, Any]) -> Chart:
    """Of each provider, one on top of the other."""
    days = range(found["from"], found["to"], DAY_MS) if found["spend"] else ()
    usd: dict[tuple[str, int], float] = {}
    for row in found["spend"]:
        at = to_ms(datetime.fromisoformat(row["day"]).replace(tzinfo=UTC))
        usd[row["provider"], at] = usd.get((row["provider"], at), 0.0) + row["totalUsd"]
    names = sorted({name for name, _ in usd})
    series = [
        {"label": name or "nobody", "hue": hue, "values": [usd.get((name, at), 0.0) for at in days]}
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

"""/requests: past requests by filters that stand in the URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from app.api import request_list
from app.api.current import gateway
from app.api.pages import figures
from app.api.pages.asked import Asked, asked
from app.api.pages.blueprint import page, pages
from app.api.pages.charts import Chart, moment
from app.domain.catalog import TaskType

#: texts that are looked for, and how the form calls them
TEXTS = {
    "provider": "Served by provider",
    "model": "Model",
    "tried": "Tried (provider/model)",
    "status": "Status",
    "error": "Failed with",
    "key": "Key",
    "segment": "Segment",
    "asked": "Asked for",
    "configVersion": "Config version",
    "minMs": "At least ms",
}
FLAGS = {"explored": "Explored", "fellOver": "Fell over", "stream": "Streamed"}
#: the two hues of the histogram
_FINE, _BAD = 0, 1


@pages.get("/requests")
def requests() -> Response:
    """A form of filters, how many there were over time, and a page of them."""
    seen = asked()
    given = {name: request.args.get(name, "") for name in (*TEXTS, *FLAGS, "taskType", "before")}
    span = {"from": str(seen.from_ms), "to": str(seen.to_ms)}
    found = request_list.listing(gateway().services, {**given, **span, "fields": "summary"})
    return page(
        "requests",
        "Requests",
        found=found,
        given=given,
        texts=TEXTS,
        flags=FLAGS,
        tasks=[task.value for task in TaskType],
        chart=None if found["histogram"] is None else histogram(found),
        older=_query(seen, {**given, "before": found["next"] or ""}),
        first=_query(seen, {**given, "before": ""}),
    )


def _query(seen: Asked, given: Mapping[str, str]) -> str:
    """The same part of the data on another page: fixed in time, so that pages fit together."""
    span = {"from": str(seen.from_ms), "to": str(seen.to_ms)}
    return urlencode({**{name: value for name, value in given.items() if value}, **span})


def histogram(found: Mapping[str, Any]) -> Chart:
    """Answered and failed; steps without a request are 0."""
    step = found["histogram"]["stepMs"]
    bars = {bar["at"]: bar for bar in found["histogram"]["bars"]}
    steps = range(found["from"] - found["from"] % step, found["to"], step) if bars else ()
    failed = [bars[at]["failed"] if at in bars else 0 for at in steps]
    fine = [bars[at]["requests"] - bars[at]["failed"] if at in bars else 0 for at in steps]
    series = [
        {"label": "answered", "hue": _FINE, "values": fine},
        {"label": "failed", "hue": _BAD, "values": failed},
    ]
    spec = {"x": [at // 1000 for at in steps], "unit": "count", "kind": "bars", "log": False, "series": series}
    rows = [
        [moment(bar["at"]), figures.count(bar["requests"] - bar["failed"]), figures.count(bar["failed"])]
        for bar in reversed(found["histogram"]["bars"])
    ]
    return Chart("histogram", "Requests over time", spec, ["time (UTC)", "answered", "failed"], rows)

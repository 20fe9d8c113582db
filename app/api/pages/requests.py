"""/requests: past requests by filters that stand in the URL."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from app.api import request_list
from app.api.current import gateway
from app.api.pages import figures
from app.api.pages.asked import Asked, asked, epoch_ms
from app.api.pages.blueprint import LIVE, Live, drawn, page, pages
from app.api.pages.charts import Chart, moment
from app.domain.catalog import TaskType
from app.live import live_config

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
#: s between two counts for one open page; none is made where no request came
COUNT_S = 20.0
#: ms that a request may take from its end into the log, and how far back each look goes for those that took longer
LAG_MS, LOOK_BACK_MS = 10_000, 300_000


@pages.get("/requests")
def requests() -> Response:
    """A form of filters, how many there were over time, and a page of them."""
    seen, given = asked(), _given()
    found = _found(given, seen.from_ms, seen.to_ms)
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
        most=request_list.LIMIT,
    )


class Incoming:
    """Requests as they come into the log, for one stream: which of them it has told already.

    They come in the order of their time, but for what waits to be taken in: so it looks back a while each time.
    """

    def __init__(self) -> None:
        self._known: set[str] | None = None
        self._counted_s, self._counted = time.monotonic(), True

    def __call__(self, seen: Asked) -> Iterator[tuple[str, str]]:
        if request.args.get("before"):
            return
        for each in reversed(self._new(seen)):
            self._counted = False
            yield f"request-{each['requestId']}", drawn("requests_rows.html", "line", each)
        if not self._counted and time.monotonic() - self._counted_s >= COUNT_S:
            self._counted_s, self._counted = time.monotonic(), True
            yield from _counts(seen)

    def _new(self, seen: Asked) -> list[dict[str, Any]]:
        """At first what the page does not have, by the time at which it was made."""
        now_ms = live_config.epoch_ms()
        made_ms = epoch_ms("since", now_ms) - LAG_MS
        start = max(seen.from_ms, min(made_ms, now_ms - LOOK_BACK_MS))
        if start >= seen.to_ms:
            return []
        lines = _found(_given(), start, seen.to_ms, counted=False)["requests"]
        known = self._known
        self._known = {each["requestId"] for each in lines}
        if known is None:
            return [each for each in lines if each["timestamp"] >= made_ms]
        return [each for each in lines if each["requestId"] not in known]


LIVE["requests"] = Live(Incoming)


def _counts(seen: Asked) -> Iterator[tuple[str, str]]:
    found = _found(_given(), seen.from_ms, seen.to_ms)
    yield "h-list", drawn("requests_rows.html", "heading", len(found["requests"]), found["total"])
    yield "histogram", drawn("charts.html", "drawn", histogram(found))


def _given() -> dict[str, str]:
    return {name: request.args.get(name, "") for name in (*TEXTS, *FLAGS, "taskType", "before")}


def _found(given: Mapping[str, str], from_ms: int, to_ms: int, *, counted: bool = True) -> dict[str, Any]:
    asked_for = {**given, "from": str(from_ms), "to": str(to_ms), "fields": "summary"}
    return request_list.listing(gateway().services, asked_for, counted=counted)


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

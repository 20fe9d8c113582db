"""GET /live/{page}: rows of a page when they change, as server-sent events.

A row goes as the HTML that the page itself was made with, so there is no second drawing of it; what has not changed
does not go. A sign of life carries the time: by it the page knows how old its figures are.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import structlog
from flask import Response, current_app, request, stream_with_context

from app.api import auth
from app.api.pages.asked import asked, page_age_s
from app.api.pages.blueprint import LIVE, Live, Rows, mark, pages
from app.api.pages.kept import Kept
from app.api.stopping import is_stopping
from app.errors import DependencyUnavailable, NotFound, TooLooError
from app.live import live_config

log = structlog.get_logger()

#: s between two looks at who asks: a session that is over ends the stream
TICK_S = 1.0
#: s between two looks at the rows
LOOK_S = 2.0
#: s of silence after which a sign of life is sent; a page is amber after ten
BEAT_S = 4.0
#: s after which a stream ends; the page comes back
LIFE_S = 600.0
#: streams per process: each holds a thread, and chat needs them more
STREAMS = 32
#: rows that a stream remembers to have sent: more than any page has, but for one that only grows
REMEMBERED = 300

#: parameters in which streams differ that ask the same
_OF_ONE = ("since", "marks")

_free = threading.BoundedSemaphore(STREAMS)


@pages.get("/live/<page>")
def live(page: str) -> Response:
    """`row`: {id, html, mark} that the page does not have; `alive`: {now}, every few seconds; `gone`: sign in again."""
    found = LIVE.get(page)
    if found is None:
        raise NotFound(f"the page {page[:50]!r} has no event stream", field="page")
    asked()  # what is asked wrongly is told now
    if not _free.acquire(blocking=False):
        raise DependencyUnavailable(f"{STREAMS} pages are open in this process already: close some")
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    response = Response(stream_with_context(_events(_looking(page, found))), 200, headers, "text/event-stream")
    response.call_on_close(_free.release)
    return response


def _looking(page: str, found: Live) -> Rows:
    """The rows of this stream; those that cost much are read once for all who ask the same."""
    rows, every_s = found.begin(), found.every_s
    if every_s is None:
        return rows
    kept: Kept[list[tuple[str, str]]] = current_app.extensions.setdefault("tooloo.rows", Kept())
    key = (
        page,
        request.script_root,
        frozenset(pair for pair in request.args.items(multi=True) if pair[0] not in _OF_ONE),
    )
    return lambda seen: iter(kept.of(key, min(every_s, page_age_s()), lambda: list(rows(seen))))


def _events(rows: Rows) -> Iterator[str]:
    sent, lasts = _shown(), auth.lease()
    began = time.monotonic()
    looked, spoke = began - LOOK_S, 0.0
    yield "retry: 2000\n\n"
    while time.monotonic() < began + LIFE_S and not is_stopping():
        if not lasts():
            yield _event("gone", {})
            return
        if time.monotonic() - looked >= LOOK_S:
            looked = time.monotonic()
            for name, html in _changed(rows, sent):
                yield _event("row", {"id": name, "html": html, "mark": sent[name]})
        if time.monotonic() - spoke >= BEAT_S:
            yield _event("alive", {"now": live_config.epoch_ms()})
            spoke = time.monotonic()
        time.sleep(TICK_S)


def _shown() -> dict[str, str]:
    """Rows that the page has, by its own word."""
    pairs = (each.partition(":") for each in request.args.get("marks", "").split())
    return {name: edition for name, _, edition in pairs}


def _changed(rows: Rows, sent: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Where a dependency is away the rows stay as they are: the page says so by itself (Health)."""
    try:
        # asked anew: "the last 24 hours" go on
        for name, html in rows(asked()):
            edition = mark(html)
            if sent.get(name) != edition:
                sent[name] = edition
                yield name, html
    except TooLooError as error:
        log.warning("rows of a page not read", page=request.path, reason=str(error))
    while len(sent) > REMEMBERED:
        del sent[next(iter(sent))]


def _event(name: str, data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'), ensure_ascii=False)}\n\n"

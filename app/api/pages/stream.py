"""GET /live/{page}: rows of a page when they change, as server-sent events.

A row goes as the HTML that the page itself was made with, so there is no second drawing of it; what has not changed
does not go. A sign of life carries the time: by it the page knows how old its figures are.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator

import structlog
from flask import Response, request, stream_with_context

from app.api import auth
from app.api.auth import COOKIE
from app.api.pages.asked import Asked, asked
from app.api.pages.blueprint import LIVE, Rows, pages
from app.api.stopping import is_stopping
from app.errors import DependencyUnavailable, NotFound, TooLooError
from app.live import live_config

log = structlog.get_logger()

#: s between two looks at the rows
LOOK_S = 2.0
#: s of silence after which a sign of life is sent; a page is amber after ten
BEAT_S = 4.0
#: s after which a stream ends; the page comes back
LIFE_S = 600.0
#: streams per process: each holds a thread, and chat needs them more
STREAMS = 32

_free = threading.BoundedSemaphore(STREAMS)


@pages.get("/live/<page>")
def live(page: str) -> Response:
    """`row`: {id, html} of what changed, all at first; `alive`: {now}, every few seconds; `gone`: sign in again."""
    rows = LIVE.get(page)
    if rows is None:
        raise NotFound(f"the page {page[:50]!r} has no event stream", field="page")
    seen = asked()
    if not _free.acquire(blocking=False):
        raise DependencyUnavailable(f"{STREAMS} pages are open in this process already: close some")
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    response = Response(stream_with_context(_events(rows, seen)), 200, headers, "text/event-stream")
    response.call_on_close(_free.release)
    return response


def _events(rows: Rows, seen: Asked) -> Iterator[str]:
    sent: dict[str, bytes] = {}
    ends, spoke = time.monotonic() + LIFE_S, 0.0
    yield "retry: 2000\n\n"
    while time.monotonic() < ends and not is_stopping():
        if not _still_signed_in():
            yield _event("gone", {})
            return
        for name, html in _changed(rows, seen, sent):
            yield _event("row", {"id": name, "html": html})
        if time.monotonic() - spoke >= BEAT_S:
            yield _event("alive", {"now": live_config.epoch_ms()})
            spoke = time.monotonic()
        time.sleep(LOOK_S)


def _changed(rows: Rows, seen: Asked, sent: dict[str, bytes]) -> Iterator[tuple[str, str]]:
    """Where a dependency is away the rows stay as they are: the page says so by itself (Health)."""
    try:
        for name, html in rows(seen):
            mark = hashlib.blake2b(html.encode(), digest_size=8).digest()
            if sent.get(name) != mark:
                sent[name] = mark
                yield name, html
    except TooLooError as error:
        log.warning("rows of a page not read", page=request.path, reason=str(error))


def _still_signed_in() -> bool:
    """A revoked key's stream ends with the next look."""
    if auth.session() is None:
        return True
    try:
        return auth.guard().of_session(request.cookies.get(COOKIE, ""), time.time()) is not None
    except DependencyUnavailable:
        return True


def _event(name: str, data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'), ensure_ascii=False)}\n\n"

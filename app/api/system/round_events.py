"""GET /api/v1/system/benchmarks/{roundId}/events: how far a round is, as server-sent events."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from flask import Blueprint, Response

from app.api import auth
from app.api.current import gateway
from app.api.stopping import is_stopping
from app.api.system.shapes import progress_json
from app.errors import DependencyUnavailable, NotFound, TooLooError
from app.live import live_config
from app.services import Services
from app.store import database, rounds

#: s between two looks at the round
LOOK_S = 0.25
#: s of silence after which a comment is sent, so that nobody on the way takes the stream for dead
BEAT_S = 10.0
#: streams per process: each holds one of its threads, and chat needs them more
STREAMS = 16
#: s after its deadline at which a round that does not close is given up on
PATIENCE_S = 600.0

round_events = Blueprint("round_events", __name__, url_prefix="/api/v1/system")
_free = threading.BoundedSemaphore(STREAMS)


@round_events.get("/benchmarks/<round_id>/events")
def events(round_id: str) -> Response:
    """`progress` whenever something changed, then `finished`; the data is what GET …/benchmarks/{roundId} answers."""
    services = gateway().services
    state = progress(services, round_id)
    if not _free.acquire(blocking=False):
        raise DependencyUnavailable(f"{STREAMS} event streams are open in this process: try again, or poll")
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    response = Response(_stream(services, round_id, state, auth.lease()), 200, headers, "text/event-stream")
    response.call_on_close(_free.release)
    return response


def progress(services: Services, round_id: str) -> dict[str, Any]:
    """State of a round; raises NotFound."""
    with database.transaction(services.sessions) as session:
        record = None if "\x00" in round_id else rounds.get(session, round_id)
        if record is None:
            raise NotFound(f"there is no round {round_id!r}", field="roundId")
        return progress_json(record, rounds.progress(session, round_id), live_config.epoch_ms())


def _stream(services: Services, round_id: str, state: dict[str, Any], lasts: Callable[[], bool]) -> Iterator[str]:
    give_up_ms = state["deadlineAt"] + PATIENCE_S * 1000
    yield "retry: 2000\n\n"
    sent: dict[str, Any] | None = None
    spoke_s = time.monotonic()
    while True:
        if state["finishedAt"] is not None:
            yield _event("finished", state)
            return
        if sent is None or _changed(sent, state):
            yield _event("progress", state)
            sent, spoke_s = state, time.monotonic()
        elif time.monotonic() - spoke_s > BEAT_S:
            yield ": still there\n\n"
            spoke_s = time.monotonic()
        if live_config.epoch_ms() > give_up_ms or is_stopping() or not lasts():
            return
        time.sleep(LOOK_S)
        try:
            state = progress(services, round_id)
        except TooLooError:  # the database is away or the round is gone: the client comes back and is told
            return


def _changed(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """In anything but the clock."""
    return any(before[key] != now[key] for key in now if key != "etaMs")


def _event(name: str, state: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(state, separators=(',', ':'), ensure_ascii=False)}\n\n"

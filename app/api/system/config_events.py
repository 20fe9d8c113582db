"""The runtime config as a stream of server-sent events.

Revisions come from Postgres, so that none is left out, whatever was coalesced on the way; the process's own swap of
the config only says when to look. Where Postgres is away, the newest document comes from memory.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import structlog
from flask import Response

from app.api import auth
from app.api.stopping import is_stopping
from app.domain.config import config_history
from app.domain.config.runtime_config import RuntimeConfig
from app.errors import DependencyUnavailable, TooManyRequests
from app.live import live_config
from app.services import Services
from app.store import database, revisions
from app.store.models import Revision

log = structlog.get_logger()

#: s between two signs of life, by which a client that left is noticed
BEAT_S = 1.0
#: s after which a stream ends; the client comes back with Last-Event-ID
LIFE_S = 600.0
#: a stream holds a thread of the process: at most so many at once
STREAMS = 16
#: revisions read at once; who is further behind gets them in turns
BATCH = 50

_places = threading.BoundedSemaphore(STREAMS)


def response(services: Services, after: int | None) -> Response:
    """Every revision after `after`; with None, the present one first. Raises TooManyRequests."""
    if not _places.acquire(blocking=False):
        raise TooManyRequests(f"{STREAMS} streams are open here already", retry_after_s=BEAT_S * 5)
    return Response(
        _Stream(services, after, auth.lease()),
        mimetype="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


class _Stream:
    """An iterable that gives its place back when the server closes it, also if it was never begun."""

    def __init__(self, services: Services, after: int | None, lasts: Callable[[], bool]) -> None:
        self._services = services
        self._lasts = lasts
        self._seen = after
        self._changed = threading.Event()
        self._leave = services.config.on_change(lambda config: self._changed.set())
        self._open = True
        self._events = self._run()

    def __iter__(self) -> Iterator[str]:
        return self._events

    def close(self) -> None:
        if self._open:
            self._open = False
            self._leave()
            _places.release()

    def _run(self) -> Iterator[str]:
        yield "retry: 1000\n\n"
        ends_at = time.monotonic() + LIFE_S
        while time.monotonic() < ends_at and not is_stopping() and self._lasts():
            self._changed.clear()
            yield from self._news()
            if not self._changed.wait(BEAT_S):
                yield ": alive\n\n"

    def _news(self) -> Iterator[str]:
        newest = self._services.config.value
        if self._seen is None:
            self._seen = newest.revision
            yield _event(newest.revision, {"version": newest.revision, "document": newest.document()})
        elif newest.revision > self._seen:
            try:
                yield from self._revisions()
            except DependencyUnavailable as error:
                log.warning("change stream goes on without postgres", reason=str(error))
                yield self._from_memory(newest)

    def _revisions(self) -> Iterator[str]:
        while True:
            with database.transaction(self._services.sessions) as session:
                found = revisions.since(session, self._seen or 0, BATCH)
                before = revisions.documents(session, [r.parent for r in found if r.parent is not None])
            for revision in found:
                self._seen = revision.version
                yield _event(revision.version, _told(revision, before))
            if len(found) < BATCH:
                return

    def _from_memory(self, newest: RuntimeConfig) -> str:
        self._seen = newest.revision
        return _event(newest.revision, {"version": newest.revision, "document": newest.document()})


def _told(revision: Revision, before: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    parent = None if revision.parent is None else before.get(revision.parent)
    return {
        "version": revision.version,
        "author": revision.author,
        "reason": revision.reason,
        "timestamp": live_config.to_ms(revision.created_at),
        "changes": [] if parent is None else config_history.diff(parent, revision.document),
        "document": revision.document,
    }


def _event(version: int, data: Mapping[str, Any]) -> str:
    return f"id: {version}\nevent: config\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"

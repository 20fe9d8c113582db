"""GET /api/v1/requests: past requests by filters, in pages, with how many there were over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, request
from sqlalchemy import Row

from app.api.current import gateway
from app.api.envelope import ok
from app.api.queries import Query
from app.api.requests import head_json, request_json
from app.domain.catalog import TaskType
from app.domain.routing.ending import ending
from app.errors import InvalidRequest
from app.live.live_config import to_ms
from app.services import Services
from app.store import database
from app.store import request_list as store
from app.store.request_list import Cursor, Filter

LIMIT, MOST = 50, 200
#: parameter → column
_EQUAL = {"provider": "provider", "model": "model", "key": "key", "segment": "segment", "asked": "asked"}
PARAMETERS = (
    *("from", "to", *_EQUAL, "taskType", "status", "explored", "fellOver", "stream", "simulated", "minMs"),
    *("configVersion", "tried", "error", "before", "limit", "fields"),
)
#: widths of a bar, the least first that makes no more than BARS of them
_STEPS = tuple(timedelta(minutes=each) for each in (1, 5, 15, 60, 360, 1440))
BARS = 60
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

request_list = Blueprint("request_list", __name__, url_prefix="/api/v1")


@dataclass(frozen=True, slots=True)
class _Asked:
    by: Filter
    before: Cursor | None
    limit: int
    summary: bool


@request_list.get("/requests")
def listed() -> Response:
    """Past requests, newest first, by any of their columns: `?from=now-24h&status=failed&provider=openai`.

    `next` is the `before` of the page that follows. `histogram` counts all that match, on the first page alone.
    """
    return ok(listing(gateway().services, request.args))


def listing(services: Services, given: Mapping[str, str], *, counted: bool = True) -> dict[str, Any]:
    """What the route answers, for the parameters given; raises InvalidRequest that names one.

    `counted`: with how many there are over time, on the first page.
    """
    query = Query(given, PARAMETERS)
    with database.transaction(services.sessions) as session:
        asked = _read(query, database.now(session), timedelta(days=services.policy.gateway.log_days))
        find = store.lines if asked.summary else store.entries
        found: Sequence[Any] = find(session, asked.by, asked.before, asked.limit + 1)
        shown = [(line_json if asked.summary else request_json)(each) for each in found[: asked.limit]]
        step = _step(asked.by)
        bars = None if asked.before or not counted else store.over_time(session, asked.by, step)
    return {
        "from": to_ms(asked.by.since),
        "to": to_ms(asked.by.until),
        "requests": shown,
        "next": _cursor(found[asked.limit - 1]) if len(found) > asked.limit else None,
        "total": None if bars is None else sum(bar[1] for bar in bars),
        "histogram": None if bars is None else _histogram_json(bars, step),
        "keptDays": services.policy.gateway.log_days,
    }


def _read(query: Query, now: datetime, kept: timedelta) -> _Asked:
    since, until = query.span(now, kept)
    status, task = query.text("status"), query.one_of("taskType", tuple(TaskType))
    equal: dict[str, Any] = {column: query.text(name) for name, column in _EQUAL.items()}
    equal |= {"task_type": task, "status": None if status == store.FAILED else status}
    equal |= {"stream": query.flag("stream"), "simulated": query.flag("simulated")}
    version = query.text("configVersion")
    equal["revision"] = None if version is None else query.count("configVersion", 1, 999_999_999)
    by = Filter(
        since=since,
        until=until,
        equal={name: value for name, value in equal.items() if value is not None},
        failed=status == store.FAILED,
        explored=query.flag("explored"),
        fell_over=query.flag("fellOver"),
        min_ms=query.amount("minMs"),
        attempt=_attempt(query.text("tried"), query.text("error")),
    )
    return _Asked(by, _before(query.text("before")), query.count("limit", LIMIT, MOST), query.is_summary())


def _attempt(tried: str | None, error: str | None) -> dict[str, Any]:
    """As the log has it: provider or provider/model, and the code it failed with."""
    provider, slash, model = (tried or "").partition("/")
    found: dict[str, Any] = {"provider": provider} if provider else {}
    return {**found, **({"model": model} if slash else {}), **({"error": {"code": error}} if error else {})}


def _before(text: str | None) -> Cursor | None:
    if text is None:
        return None
    micros, dot, request_id = text.partition(".")
    if not (dot and request_id and micros.isascii() and micros.isdigit() and len(micros) <= 16):
        raise InvalidRequest(f"before must be `next` of the page before: got {text!r}", field="before")
    return Cursor(_EPOCH + timedelta(microseconds=int(micros)), request_id)


def _cursor(last: Any) -> str:
    return f"{(last.at - _EPOCH) // timedelta(microseconds=1)}.{last.request_id}"


def _step(by: Filter) -> timedelta:
    fitting = (step for step in _STEPS if (by.until - by.since) / step <= BARS)
    return next(fitting, _STEPS[-1])


def _histogram_json(bars: Sequence[tuple[datetime, int, int]], step: timedelta) -> dict[str, Any]:
    """Steps without a request are left out."""
    shown = [{"at": to_ms(at), "requests": requests, "failed": failed} for at, requests, failed in bars]
    return {"stepMs": int(step / timedelta(milliseconds=1)), "bars": shown}


def line_json(found: Row[Any]) -> dict[str, Any]:
    """What a list shows of a request: all but the explanation and what attempts said."""
    return {
        **head_json(found),
        "explored": found.explored,
        "fellOver": found.fell_over,
        "attemptCount": len(found.attempts),
        "why": ending(
            reason=found.reason,
            order=found.order,
            attempts=found.attempts,
            served=f"{found.provider}/{found.model}" if found.provider else None,
            status=found.status,
        ),
    }

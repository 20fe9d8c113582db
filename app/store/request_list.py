"""The request log as a list: a page by filters, newest first, and how many there are over time.

Pages go on behind the last entry of the one before (time and id), so that new requests move nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Boolean, ColumnElement, Row, Select, and_, cast, func, literal, or_, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from app.store.models import LoggedRequest

#: statuses of requests that nothing went wrong with here
FINE = ("ok", "client_gone")
#: stands for every other one
FAILED = "failed"


class Cursor(NamedTuple):
    """The entry that a page goes on behind."""

    at: datetime
    request_id: str


@dataclass(frozen=True, slots=True)
class Filter:
    """`equal`: columns and their values; None: any."""

    since: datetime
    until: datetime
    equal: Mapping[str, Any] = field(default_factory=dict)
    failed: bool = False
    explored: bool | None = None
    fell_over: bool | None = None
    min_ms: float | None = None
    #: of an attempt: whose, and with which end
    attempt: Mapping[str, Any] = field(default_factory=dict)


#: entries of an older release have no columns for these
_EXPLORED = func.coalesce(LoggedRequest.explored, cast(LoggedRequest.explanation["explored"].astext, Boolean), False)
_FELL_OVER = func.coalesce(LoggedRequest.fell_over, func.jsonb_array_length(LoggedRequest.attempts) > 1)

#: what a line of the list shows; `order` and `reason` say why
LINE = (
    *("request_id", "at", "key", "segment", "task_type", "asked", "stream", "status", "provider", "model"),
    *("latency_ms", "prompt_tokens", "completion_tokens", "cached_tokens", "cost_usd", "simulated", "revision"),
    "attempts",
)


def lines(session: Session, by: Filter, before: Cursor | None, limit: int) -> list[Row[Any]]:
    """Columns of LINE, `explored`, `fell_over`, `reason` and `order`."""
    columns = [getattr(LoggedRequest, name) for name in LINE]
    why = LoggedRequest.explanation
    extra = (why["reason"].astext.label("reason"), why["order"].label("order"))
    query = select(*columns, _EXPLORED.label("explored"), _FELL_OVER.label("fell_over"), *extra)
    return list(session.execute(_page(query, by, before, limit)))


def entries(session: Session, by: Filter, before: Cursor | None, limit: int) -> list[LoggedRequest]:
    return list(session.scalars(_page(select(LoggedRequest), by, before, limit)))


def over_time(session: Session, by: Filter, step: timedelta) -> list[tuple[datetime, int, int]]:
    """Start, requests, and how many of them failed, for every step that has any."""
    start = func.date_bin(step, LoggedRequest.at, func.to_timestamp(0)).label("start")
    failed = func.count().filter(LoggedRequest.status.not_in(FINE))
    query = select(start, func.count(), failed).where(_matches(by)).group_by(start).order_by(start)
    return [(at, requests, bad) for at, requests, bad in session.execute(query)]


def _page(query: Select[Any], by: Filter, before: Cursor | None, limit: int) -> Select[Any]:
    key = tuple_(LoggedRequest.at, LoggedRequest.request_id)
    query = query.where(_matches(by)).order_by(LoggedRequest.at.desc(), LoggedRequest.request_id.desc()).limit(limit)
    return query if before is None else query.where(key < tuple_(literal(before.at), literal(before.request_id)))


def _matches(by: Filter) -> ColumnElement[bool]:
    where = [LoggedRequest.at >= by.since, LoggedRequest.at < by.until]
    where += [getattr(LoggedRequest, name) == value for name, value in by.equal.items()]
    where += [LoggedRequest.status.not_in(FINE)] if by.failed else []
    where += [] if by.explored is None else [_either(LoggedRequest.explored, _EXPLORED, by.explored)]
    where += [] if by.fell_over is None else [_either(LoggedRequest.fell_over, _FELL_OVER, by.fell_over)]
    where += [] if by.min_ms is None else [LoggedRequest.latency_ms >= by.min_ms]
    where += [LoggedRequest.attempts.op("@>")(cast([by.attempt], JSONB))] if by.attempt else []
    return and_(*where)


def _either(column: Any, derived: ColumnElement[Any], wanted: bool) -> ColumnElement[bool]:
    return or_(column.is_(wanted), and_(column.is_(None), derived.is_(wanted)))

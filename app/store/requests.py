"""The request log, and the usage per day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from app.store.database import is_unstorable
from app.store.models import LoggedRequest, Usage

log = structlog.get_logger()

#: what usage can be told apart by: the key of the `usage` table, in its order
DIMENSIONS = ("day", "key", "segment", "provider", "model", "simulated")
#: what is added up
SUMS = ("requests", "failed", "unpriced", "prompt_tokens", "completion_tokens", "cost_usd")
#: rows deleted in one transaction
PURGE_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class Used:
    """What one request used."""

    #: values of DIMENSIONS
    of: tuple[date, str, str, str, str, bool]
    #: values of SUMS
    sums: tuple[int, int, int, int, int, float]


def used(row: Mapping[str, Any]) -> Used:
    """Of a row of the request log; raises KeyError or TypeError for what is none."""
    answered = row["provider"] is not None
    cost = row["cost_usd"]
    names = (row["key"] or "", row["segment"] or "", row["provider"] or "", row["model"] or "")
    return Used(
        (row["at"].astimezone(UTC).date(), *names, bool(row["simulated"])),
        (
            1,
            int(not answered),
            int(answered and cost is None),
            int(row["prompt_tokens"] or 0),
            int(row["completion_tokens"] or 0),
            float(cost or 0.0),
        ),
    )


def count(session: Session, spent: Iterable[Used]) -> int:
    """Add to the usage of the days; the number of requests dropped, as no row takes them."""
    totals: dict[tuple[Any, ...], list[float]] = defaultdict(lambda: [0] * len(SUMS))
    for each in spent:
        for place, value in enumerate(each.sums):
            totals[each.of][place] += value
    try:
        with session.begin_nested():
            for of, sums in sorted(totals.items()):
                _add(session, of, sums)
    except (StatementError, ValueError) as error:
        if not is_unstorable(error):
            raise
        return sum(0 if _added_alone(session, of, sums) else int(sums[0]) for of, sums in sorted(totals.items()))
    return 0


def _added_alone(session: Session, of: tuple[Any, ...], sums: Sequence[float]) -> bool:
    try:
        with session.begin_nested():
            _add(session, of, sums)
    except (StatementError, ValueError) as error:
        if not is_unstorable(error):
            raise
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        log.error("usage not storable, dropped", requests=int(sums[0]), reason=reason)
        return False
    return True


def _add(session: Session, of: tuple[Any, ...], sums: Sequence[float]) -> None:
    new = insert(Usage).values(**dict(zip(DIMENSIONS, of, strict=True)), **dict(zip(SUMS, sums, strict=True)))
    added = {name: getattr(Usage, name) + new.excluded[name] for name in SUMS}
    session.execute(new.on_conflict_do_update(index_elements=DIMENSIONS, set_=added))


def record(session: Session, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert rows of the request log; the number of those that cannot be stored: they are reported and left out."""
    if not rows:
        return 0
    try:
        _insert(session, rows)
    except (StatementError, ValueError) as error:
        if not is_unstorable(error):
            raise
        if len(rows) > 1:
            return sum(record(session, [row]) for row in rows)
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        log.error("request not storable, dropped", request_id=rows[0].get("request_id"), reason=reason)
        return 1
    return 0


def _insert(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    with session.begin_nested():
        session.execute(insert(LoggedRequest).on_conflict_do_nothing(), [dict(row) for row in rows])


def get(session: Session, request_id: str) -> LoggedRequest | None:
    return session.get(LoggedRequest, request_id)


def delete_before(session: Session, moment: datetime) -> int:
    """The number of requests deleted: the oldest, PURGE_BATCH at most."""
    oldest = select(LoggedRequest.request_id).where(LoggedRequest.at < moment).limit(PURGE_BATCH).scalar_subquery()
    gone = session.execute(
        delete(LoggedRequest).where(LoggedRequest.request_id.in_(oldest)).returning(LoggedRequest.request_id)
    )
    return len(gone.all())


def usage(session: Session, since: date, by: Sequence[str]) -> list[dict[str, Any]]:
    """Sums since a day, told apart by some of DIMENSIONS, in their order; simulated and real never in one row."""
    kept = [getattr(Usage, name) for name in dict.fromkeys((*by, "simulated"))]
    sums = [func.sum(getattr(Usage, name)).label(name) for name in SUMS]
    query = select(*kept, *sums).where(Usage.day >= since).group_by(*kept).order_by(*kept)
    return [dict(row._mapping) for row in session.execute(query)]

"""The request log, and the usage per day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.domain.routing.ending import fell_over
from app.store.models import LoggedRequest, Usage
from app.store.storing import storable

#: what usage can be told apart by: the key of the `usage` table, in its order
DIMENSIONS = ("day", "key", "segment", "provider", "model", "simulated")
#: what is added up
SUMS = (
    *("requests", "failed", "unpriced", "prompt_tokens", "completion_tokens", "cost_usd"),
    *("cached_tokens", "cache_saved_usd"),
)
#: rows deleted in one transaction
PURGE_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class Used:
    """What one request used."""

    #: values of DIMENSIONS
    of: tuple[date, str, str, str, str, bool]
    #: values of SUMS
    sums: tuple[int, int, int, int, int, float, int, float]


def used(row: Mapping[str, Any]) -> Used:
    """Of a row of the request log."""
    answered = row["provider"] is not None
    cost = row["cost_usd"]
    names = (row["key"] or "", row["segment"] or "", *_laid_to(row))
    return Used(
        (row["at"].astimezone(UTC).date(), *names, bool(row["simulated"])),
        (
            1,
            int(not answered),
            int(answered and cost is None),
            int(row["prompt_tokens"] or 0),
            int(row["completion_tokens"] or 0),
            float(cost or 0.0),
            int(row.get("cached_tokens") or 0),
            float(row.get("cache_saved_usd") or 0.0),
        ),
    )


def _laid_to(row: Mapping[str, Any]) -> tuple[str, str]:
    """Who served it, else who was called last and failed; '' where nobody was called."""
    if row["provider"] is not None:
        return row["provider"], row["model"] or ""
    return row.get("failed_provider") or "", row.get("failed_model") or ""


def store(session: Session, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Count rows of the request log in the usage, and keep those that have an explanation; the rows that went in.

    What no row of either table takes is reported and left out whole, and nothing beside it.
    """

    def both(some: Sequence[Mapping[str, Any]]) -> None:
        _count(session, map(used, some))
        _log(session, [row for row in some if "explanation" in row])

    return storable(session, rows, both, LoggedRequest.__tablename__)


def _count(session: Session, spent: Iterable[Used]) -> None:
    """One upsert for each day, key, segment and target, in an order that two who count at once share."""
    for of, sums in sorted(_totals(spent).items()):
        _add(session, of, sums)


def _totals(spent: Iterable[Used]) -> dict[tuple[Any, ...], list[float]]:
    totals: dict[tuple[Any, ...], list[float]] = defaultdict(lambda: [0] * len(SUMS))
    for each in spent:
        for place, value in enumerate(each.sums):
            totals[each.of][place] += value
    return totals


def _add(session: Session, of: tuple[Any, ...], sums: Sequence[float]) -> None:
    new = insert(Usage).values(**dict(zip(DIMENSIONS, of, strict=True)), **dict(zip(SUMS, sums, strict=True)))
    added = {name: getattr(Usage, name) + new.excluded[name] for name in SUMS}
    session.execute(new.on_conflict_do_update(index_elements=DIMENSIONS, set_=added))


def _log(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        session.execute(insert(LoggedRequest).on_conflict_do_nothing(), [_logged(row) for row in rows])


def _logged(row: Mapping[str, Any]) -> dict[str, Any]:
    of_table = {name: value for name, value in row.items() if name not in {"failed_provider", "failed_model"}}
    explored = bool(row["explanation"].get("explored"))
    return {**of_table, "explored": explored, "fell_over": fell_over(row["attempts"])}


def get(session: Session, request_id: str) -> LoggedRequest | None:
    return session.get(LoggedRequest, request_id)


def delete_before(session: Session, moment: datetime) -> int:
    """The number of requests deleted: the oldest, PURGE_BATCH at most."""
    oldest = select(LoggedRequest.request_id).where(LoggedRequest.at < moment).limit(PURGE_BATCH).scalar_subquery()
    gone = session.execute(
        delete(LoggedRequest).where(LoggedRequest.request_id.in_(oldest)).returning(LoggedRequest.request_id)
    )
    return len(gone.all())


def usage(session: Session, since: date, by: Sequence[str], *, until: date = date.max) -> list[dict[str, Any]]:
    """Sums from one day to another, by some of DIMENSIONS, in their order; simulated and real never in one row."""
    kept = [getattr(Usage, name) for name in dict.fromkeys((*by, "simulated"))]
    sums = [func.sum(getattr(Usage, name)).label(name) for name in SUMS]
    query = select(*kept, *sums).where(Usage.day >= since, Usage.day <= until).group_by(*kept).order_by(*kept)
    return [dict(row._mapping) for row in session.execute(query)]

"""What keys with limits have used, by day of their zone."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date, timedelta

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.store.models import KeySpending


def add(session: Session, key_id: str, day: str, usd: float, tokens: int, requests: int) -> None:
    """To what is there."""
    row = insert(KeySpending).values(
        key_id=key_id, day=date.fromisoformat(day), cost_usd=usd, tokens=tokens, requests=requests
    )
    more = {name: getattr(KeySpending, name) + row.excluded[name] for name in ("cost_usd", "tokens", "requests")}
    session.execute(row.on_conflict_do_update(index_elements=["key_id", "day"], set_=more))


def since(session: Session, day: date, key_ids: Collection[str]) -> Iterator[tuple[str, str, float]]:
    """Key, day and USD."""
    rows = select(KeySpending.key_id, KeySpending.day, KeySpending.cost_usd).where(
        KeySpending.day >= day, KeySpending.key_id.in_(key_ids)
    )
    for key_id, at, usd in session.execute(rows):
        yield key_id, at.isoformat(), usd


def forget(session: Session, older: timedelta, limit: int) -> int:
    key = (KeySpending.key_id, KeySpending.day)
    old = select(*key).where(KeySpending.day < func.current_date() - older.days).limit(limit)
    return len(session.scalars(delete(KeySpending).where(tuple_(*key).in_(old)).returning(KeySpending.day)).all())

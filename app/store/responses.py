"""Responses that are kept: each belongs to the key that made it, and is not there for any other."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import delete, func, literal, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.store.models import KeptResponse

#: ms that a statement may take: somebody waits for it
WITHIN_MS = 2000


class Kept(NamedTuple):
    id: str
    previous_id: str | None
    #: JSON
    input: str
    response: str


_COLUMNS = (KeptResponse.id, KeptResponse.previous_id, KeptResponse.input, KeptResponse.response)


def hurry(session: Session) -> None:
    """The rest of this transaction fails rather than waits."""
    session.execute(text(f"SET LOCAL statement_timeout = {WITHIN_MS}"))
    session.execute(text(f"SET LOCAL lock_timeout = {WITHIN_MS}"))


def store(session: Session, owner: str, row: Kept) -> None:
    session.execute(insert(KeptResponse).values(owner=owner, **row._asdict()).on_conflict_do_nothing())


def get(session: Session, owner: str, ids: Collection[str]) -> dict[str, Kept]:
    """Those of them that are there, by their id."""
    rows = session.execute(select(*_COLUMNS).where(KeptResponse.owner == owner, KeptResponse.id.in_(ids)))
    return {row.id: Kept(*row) for row in rows}


def remove(session: Session, owner: str, response_id: str) -> bool:
    """False: there is none."""
    gone = delete(KeptResponse).where(KeptResponse.owner == owner, KeptResponse.id == response_id)
    return session.execute(gone.returning(KeptResponse.id)).first() is not None


def length(session: Session, owner: str, response_id: str, most: int) -> tuple[int, int]:
    """Turns of the conversation that ends with this response, and the characters kept of them; `most` turns back."""
    turns = _turns(owner, response_id, most)
    size = func.coalesce(func.sum(func.length(KeptResponse.input) + func.length(KeptResponse.response)), 0)
    row = session.execute(select(func.count(), size).join(turns, turns.c.id == KeptResponse.id)).one()
    return int(row[0]), int(row[1])


def conversation(session: Session, owner: str, response_id: str, most: int) -> list[Kept]:
    """The responses up to this one, the oldest first; the first has a `previous_id` where that one is gone."""
    turns = _turns(owner, response_id, most)
    rows = select(*_COLUMNS).join(turns, turns.c.id == KeptResponse.id).order_by(turns.c.back.desc())
    return [Kept(*row) for row in session.execute(rows)]


def _turns(owner: str, response_id: str, most: int):  # type: ignore[no-untyped-def]  # SQLAlchemy names no type for it
    last = select(KeptResponse.id, KeptResponse.previous_id, literal(0).label("back"))
    turns = last.where(KeptResponse.owner == owner, KeptResponse.id == response_id).cte(recursive=True)
    earlier = select(KeptResponse.id, KeptResponse.previous_id, turns.c.back + 1).where(
        KeptResponse.owner == owner, KeptResponse.id == turns.c.previous_id, turns.c.back < most - 1
    )
    return turns.union_all(earlier)

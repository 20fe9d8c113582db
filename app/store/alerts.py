"""Alerts in PostgreSQL: an episode of something that needs a person, begun and ended once over all processes.

see ──> open ──end_unseen──> ended        told: its beginning, then its end
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.store.models import Alert


@dataclass(frozen=True, slots=True)
class Due:
    """One of its two ends, for the caller alone to tell."""

    id: str
    item: Mapping[str, Any]
    began_at: datetime
    #: None: its beginning is to be told
    ended_at: datetime | None
    #: since the end that is to be told
    waited: timedelta


def see(session: Session, item: Mapping[str, Any], since: datetime | None) -> None:
    """It is there now: an episode begins, unless one is open."""
    row = {"id": f"alert-{uuid.uuid4().hex}", "kind": item["kind"], "subject": item["subject"], "item": dict(item)}
    statement = insert(Alert).values(**row, began_at=since or func.now())
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["kind", "subject"],
            index_where=Alert.ended_at.is_(None),
            set_={"seen_at": func.now(), "item": statement.excluded.item},
        )
    )


def end_unseen(session: Session, quiet: timedelta) -> None:
    """Nobody has seen it for so long: it ended when it was seen last."""
    over = Alert.ended_at.is_(None) & (Alert.seen_at < func.now() - quiet)
    session.execute(update(Alert).where(over).values(ended_at=Alert.seen_at))


def claim(session: Session, retry: timedelta, most: timedelta) -> Due | None:
    """What is to be told next, for nobody else until a try of it has had its time: longer after each."""
    due = (
        select(Alert.id)
        .where(
            Alert.next_try_at <= func.now(),
            Alert.told_end_at.is_(None),
            or_(Alert.told_at.is_(None), Alert.ended_at.is_not(None)),
        )
        .order_by(Alert.next_try_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    pause = func.least(most, retry * func.pow(2, func.least(Alert.tries, 20)))
    row = session.scalar(
        update(Alert)
        .where(Alert.id.in_(due))
        .values(tries=Alert.tries + 1, next_try_at=func.now() + pause)
        .returning(Alert)
    )
    if row is None:
        return None
    ended_at = None if row.told_at is None else row.ended_at
    return Due(row.id, row.item, row.began_at, ended_at, session.scalar(select(func.now())) - (ended_at or row.seen_at))


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Alerts that were not taken, nor any after them."""

    count: int
    since: datetime
    #: of the latest try
    problem: str


def told(session: Session, due: Due) -> None:
    """It was taken: so would those be that were given up."""
    _over(session, due)
    done = (Alert.id == due.id) | (Alert.problem.is_not(None) & Alert.told_end_at.is_not(None))
    begun = Alert.problem.is_not(None) & Alert.told_at.is_not(None) & Alert.ended_at.is_(None)
    session.execute(update(Alert).where(done | begun).values(problem=None, failing_since=None))


def given_up(session: Session, due: Due) -> None:
    """It is not tried again, and its problem stays."""
    _over(session, due)


def _over(session: Session, due: Due) -> None:
    values = {"told_at": func.now()} if due.ended_at is None else {"told_end_at": func.now()}
    session.execute(update(Alert).where(Alert.id == due.id).values(**values, tries=0, next_try_at=func.now()))


def failed(session: Session, due: Due, problem: str) -> None:
    since = func.coalesce(Alert.failing_since, func.now())
    session.execute(update(Alert).where(Alert.id == due.id).values(problem=problem, failing_since=since))


def undelivered(session: Session, patience: timedelta) -> Undelivered | None:
    """None: all were taken, or have not been tried for `patience`."""
    rows = session.execute(
        select(Alert.failing_since, Alert.problem)
        .where(Alert.failing_since < func.now() - patience)
        .order_by(Alert.next_try_at.desc())
    ).all()
    if not rows:
        return None
    return Undelivered(len(rows), min(row.failing_since for row in rows), rows[0].problem)


def forget(session: Session, older: timedelta, limit: int) -> int:
    old = select(Alert.id).where(Alert.told_end_at < func.now() - older).limit(limit).with_for_update(skip_locked=True)
    return len(session.scalars(delete(Alert).where(Alert.id.in_(old)).returning(Alert.id)).all())

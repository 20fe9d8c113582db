"""Scores that people gave to answers: stored at once, joined with the request's outcome when that has come in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.domain.catalog import Target
from app.store.models import Feedback, LiveOutcome

#: scores joined in one transaction
BATCH = 500
#: a request whose outcome has not come in by then is none that we know of
PATIENCE = timedelta(days=1)


class Score(NamedTuple):
    """What a person gave, and the target that had answered the request."""

    feedback: Feedback
    target: Target


def save(session: Session, request_id: str, score: float, comment: str | None) -> None:
    """Store a score; a later one takes its place."""
    values = {"score": score, "comment": comment, "at": func.now()}
    statement = insert(Feedback).values(request_id=request_id, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["request_id"], set_=values))


def waiting(session: Session) -> Sequence[Score]:
    """Scores that are not counted yet, or were changed since, of requests whose answer is recorded; oldest first."""
    query = (
        select(Feedback, LiveOutcome.provider, LiveOutcome.model)
        .join(LiveOutcome, LiveOutcome.request_id == Feedback.request_id)
        .where(Feedback.counted_score.is_distinct_from(Feedback.score), LiveOutcome.success)
        .where(Feedback.at > func.now() - PATIENCE)
        .order_by(Feedback.at)
        .limit(BATCH)
    )
    return [Score(given, Target(provider, model)) for given, provider, model in session.execute(query)]


def counted(session: Session, request_ids: Sequence[str]) -> None:
    session.execute(update(Feedback).where(Feedback.request_id.in_(request_ids)).values(counted_score=Feedback.score))


def all_counted(session: Session) -> Sequence[Score]:
    """Every score whose request is known, oldest first: what a rebuilt scorecard counts again."""
    query = (
        select(Feedback, LiveOutcome.provider, LiveOutcome.model)
        .join(LiveOutcome, LiveOutcome.request_id == Feedback.request_id)
        .where(Feedback.counted_score.is_not(None), LiveOutcome.success)
        .order_by(Feedback.at)
    )
    return [Score(given, Target(provider, model)) for given, provider, model in session.execute(query)]


def forget(session: Session, older: timedelta, limit: int) -> int:
    """With the outcomes it is of: it has been counted, or never will be."""
    return _delete(session, Feedback.at < func.now() - older, limit)


def forget_unknown(session: Session, older: timedelta, limit: int) -> int:
    """Of requests that nobody knows of: their outcomes would have come in by now."""
    known = select(LiveOutcome.request_id).where(LiveOutcome.request_id == Feedback.request_id).exists()
    return _delete(session, and_(Feedback.at < func.now() - older, Feedback.counted_score.is_(None), ~known), limit)


def _delete(session: Session, which: ColumnElement[bool], limit: int) -> int:
    old = select(Feedback.request_id).where(which).order_by(Feedback.at).limit(limit).with_for_update(skip_locked=True)
    gone = delete(Feedback).where(Feedback.request_id.in_(old)).returning(Feedback.request_id)
    return len(session.scalars(gone).all())

"""Who changed what: rows are added, read and, in the end, forgotten; nothing changes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from app.store.models import AuditEntry


def add(session: Session, fields: Mapping[str, Any]) -> None:
    session.add(AuditEntry(**fields))
    session.flush()


def page(session: Session, before: int | None, limit: int) -> Sequence[AuditEntry]:
    """The newest first; those before the entry `before`."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    return session.scalars(query if before is None else query.where(AuditEntry.id < before)).all()


def forget(session: Session, older: timedelta, limit: int) -> int:
    old = select(AuditEntry.id).where(AuditEntry.at < func.now() - older).limit(limit)
    return len(session.scalars(delete(AuditEntry).where(AuditEntry.id.in_(old)).returning(AuditEntry.id)).all())

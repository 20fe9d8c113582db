"""API keys in Postgres: never deleted, only revoked, so that the history says who changed what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain.key_limits import KeyLimits
from app.domain.keys import Key, Scope, treatment_of
from app.errors import Conflict, NotFound
from app.store.models import ApiKey, Usage

#: serialises changes of keys, so that their numbers have an order; any number of our own
_WRITE_LOCK = 730_150_005


def lock(session: Session) -> None:
    """Hold the right to change keys until the transaction ends."""
    session.execute(select(func.pg_advisory_xact_lock(_WRITE_LOCK)))


def generation(session: Session) -> int:
    """Number of the newest change; 0 before the first."""
    return session.scalar(select(func.max(ApiKey.changed))) or 0


def active(session: Session) -> list[Key]:
    rows = session.scalars(select(ApiKey).where(ApiKey.revoked_at.is_(None)).order_by(ApiKey.id))
    return [_key(row) for row in rows]


def last_admin(session: Session) -> list[Key]:
    """The admin's key that was revoked last, as one whose time was over then; none: there never was one."""
    revoked = ApiKey.revoked_at.is_not(None)
    rows = session.scalars(
        select(ApiKey).where(revoked, ApiKey.scopes.contains([Scope.ADMIN.value])).order_by(ApiKey.changed.desc())
    )
    return [
        replace(_key(row), expires_at=int(row.revoked_at.timestamp() * 1000))
        for row in islice(rows, 1)
        if row.revoked_at is not None
    ]


def find(session: Session, key_id: str) -> Key:
    """Revoked ones too; raises NotFound."""
    return _key(_row(session, key_id))


def every(session: Session) -> list[ApiKey]:
    """Revoked ones too, newest first."""
    return list(session.scalars(select(ApiKey).order_by(ApiKey.created_at.desc(), ApiKey.id)))


def last_days(session: Session) -> dict[str, str]:
    """UTC day of the last request to the gateway, by name of the key that asked."""
    rows = session.execute(select(Usage.key, func.max(Usage.day)).where(Usage.key != "").group_by(Usage.key))
    return {name: day.isoformat() for name, day in rows}


def add(session: Session, key: Key, *, changed: int, created_by: str) -> None:
    """Write a new key as change number `changed` (call `lock` first)."""
    row = ApiKey(
        id=key.id,
        hash=key.hash,
        created_by=created_by,
        changed=changed,
    )
    _write(row, key)
    session.add(row)
    session.flush()


def change(session: Session, key_id: str, become: Callable[[Key], Key], *, changed: int) -> tuple[Key, Key]:
    """As it was and as it is: whatever `become` makes of it but its id and its hash. Raises NotFound, Conflict for one
    that is revoked (call `lock` first)."""
    row = _row(session, key_id)
    if row.revoked_at is not None:
        raise Conflict(f"the key {key_id!r} is revoked, for good: make another", field="id")
    before = _key(row)
    after = become(before)
    _write(row, after)
    row.changed = changed
    session.flush()
    return before, after


def _write(row: ApiKey, key: Key) -> None:
    row.name, row.scopes, row.segment, row.parameters = key.name, sorted(key.scopes), key.segment, key.parameters
    row.expires_at = None if key.expires_at is None else datetime.fromtimestamp(key.expires_at / 1000, UTC)
    row.rate_per_minute, row.limits = key.limits.requests_per_minute, key.limits.to_json()


def revoke(session: Session, key_id: str, *, changed: int) -> ApiKey:
    """For good; a second time changes nothing. Raises NotFound (call `lock` first)."""
    row = _row(session, key_id)
    if row.revoked_at is None:
        row.revoked_at = session.execute(select(func.now())).scalar_one()
        row.changed = changed
        session.flush()
    return row


def _row(session: Session, key_id: str) -> ApiKey:
    row = session.get(ApiKey, key_id)
    if row is None:
        raise NotFound(f"there is no key {key_id!r}", field="id")
    return row


def _key(row: ApiKey) -> Key:
    known = {scope.value for scope in Scope}
    scopes = frozenset(Scope(scope) for scope in row.scopes if scope in known)
    parameters = treatment_of(row.parameters)
    expires_at = None if row.expires_at is None else int(row.expires_at.timestamp() * 1000)
    return Key(row.id, row.name, row.hash, scopes, row.segment, parameters, expires_at, limits_of(row))


def limits_of(row: ApiKey) -> KeyLimits:
    return KeyLimits.from_json(row.limits, row.rate_per_minute)

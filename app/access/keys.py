"""API keys as every process sees them: durable in Postgres, published through Redis like the runtime config.

A request is checked against memory. A revoked key is refused by every process as soon as it hears of it: within
milliseconds, or with the next poll.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

import redis
import structlog
from sqlalchemy.orm import Session

from app.domain import keys as domain
from app.domain.key_limits import NO_LIMITS, KeyLimits
from app.domain.keys import Key, Keys, Scope, Treatment
from app.errors import Conflict
from app.live import published
from app.live.published import Published
from app.store import database
from app.store import keys as store
from app.store.database import Sessions
from app.store.models import ApiKey

log = structlog.get_logger()
T = TypeVar("T")

NAME = "keys"


def live(sessions: Sessions) -> Published[Keys]:
    """The keys as this process sees them; none until it is first refreshed."""

    def durable() -> tuple[int, str] | None:
        with database.transaction(sessions) as session:
            return store.generation(session), _dump(session)

    return Published(NAME, Keys(), parse=parse, durable=durable)


def parse(body: str) -> Keys:
    """Raises ValueError for what is not a list of keys."""
    try:
        return Keys({key.id: key for key in map(Key.from_json, json.loads(body))})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a list of keys: {error!r}") from None


def create(
    sessions: Sessions,
    connection: redis.Redis,
    name: str,
    scopes: frozenset[Scope],
    *,
    segment: str | None = None,
    parameters: Treatment | None = None,
    expires_at: int | None = None,
    limits: KeyLimits = NO_LIMITS,
    created_by: str,
) -> tuple[Key, str]:
    """A new key, and its secret, which is nowhere else. Raises DependencyUnavailable."""
    key_id, secret = domain.generate()
    key = Key(key_id, name, domain.digest(secret), scopes, segment, parameters, expires_at, limits)
    _change(sessions, connection, lambda session, n: store.add(session, key, changed=n, created_by=created_by))
    log.info("key created", key=key.id, scopes=sorted(scope.value for scope in scopes), segment=segment)
    return key, secret


def change(
    sessions: Sessions, connection: redis.Redis, key_id: str, become: Callable[[Key], Key], *, lock_out: bool
) -> tuple[Key, Key]:
    """As it was, and as it is from now on: its secret stays. Raises as `revoke` does."""

    def step(session: Session, n: int) -> tuple[Key, Key]:
        changed = store.change(session, key_id, become, changed=n)
        _keep_an_admin(session, changed[0], lock_out=lock_out)
        return changed

    changed = _change(sessions, connection, step)
    log.info("key changed", key=key_id)
    return changed


def revoke(sessions: Sessions, connection: redis.Redis, key_id: str, *, lock_out: bool) -> ApiKey:
    """`lock_out`: also where nobody can change anything afterwards.

    Raises NotFound, Conflict for the last key of an admin, DependencyUnavailable.
    """

    def step(session: Session, n: int) -> ApiKey:
        before = store.find(session, key_id)
        row = store.revoke(session, key_id, changed=n)
        _keep_an_admin(session, before, lock_out=lock_out)
        return row

    row = _change(sessions, connection, step)
    log.info("key revoked", key=key_id)
    return row


def _keep_an_admin(session: Session, before: Key, *, lock_out: bool) -> None:
    """Once there was one, a key is needed for everything, so that somebody has to have one."""
    if lock_out or Scope.ADMIN not in before.scopes:
        return
    now_ms = database.now(session).timestamp() * 1000
    if not any(Scope.ADMIN in each.scopes and not each.is_over(now_ms) for each in store.active(session)):
        raise Conflict(
            f"{before.name!r} ({before.id}) is the last key with the scope `admin`, and without one nobody could change"
            " anything: make another first (tooloo keys create NAME --scope admin), or set TOOLOO_ADMIN_KEY and start"
            " again. To lock everybody out on purpose: tooloo keys revoke --last",
            field="id",
        )


def recover(sessions: Sessions, connection: redis.Redis) -> None:
    """Bring the published keys to what Postgres holds.

    Postgres alone says what is valid. Where Redis counts higher and differs (Postgres came back from a backup, or is a
    new one), it is overruled under a number past its own.
    """
    told = _told(connection)
    with database.transaction(sessions) as session:
        number, body = store.generation(session), _dump(session)
    if told is not None and told[0] >= number and told[1] != body:
        log.warning("keys in redis differ from postgres, replaced", redis=told[0], postgres=number)
        number = told[0] + 1
    _publish(connection, number, body)


def _change(sessions: Sessions, connection: redis.Redis, step: Callable[[Session, int], T]) -> T:
    told = _told(connection)
    with database.transaction(sessions) as session:
        store.lock(session)
        result = step(session, max(store.generation(session), -1 if told is None else told[0]) + 1)
        number, body = store.generation(session), _dump(session)
    _publish(connection, number, body)
    return result


def _dump(session: Session) -> str:
    """Where no admin is left, one that was revoked stands among them, over since then: keys stay needed."""
    listed = store.active(session)
    if not any(Scope.ADMIN in key.scopes for key in listed):
        listed += store.last_admin(session)
    return json.dumps([key.to_json() for key in listed], separators=(",", ":"))


def _told(connection: redis.Redis) -> tuple[int, str] | None:
    try:
        return published.read(connection, NAME)
    except (redis.RedisError, ValueError) as error:
        log.warning("keys in redis not readable", reason=str(error))
        return None


def _publish(connection: redis.Redis, number: int, body: str) -> None:
    """Best effort: what Redis misses now, the reaper brings within a minute."""
    try:
        published.publish(connection, NAME, number, body)
    except redis.RedisError as error:
        log.warning("keys not published, the reaper will", reason=str(error))

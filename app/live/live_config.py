"""The runtime config as processes see it: published through Redis, durable in Postgres, readable in a file.

A revision is written to Postgres first, then published to Redis. At start the newest copy wins (Postgres, Redis,
then config/runtime.json, then the defaults) and whichever copy is behind is brought up.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis
import structlog
from sqlalchemy.orm import Session

from app.domain.catalog import Provider
from app.domain.config import config_history, runtime_config
from app.domain.config.runtime_config import ProviderConfig, RuntimeConfig
from app.errors import DependencyUnavailable, InvalidRequest, PreconditionFailed
from app.live import published, snapshot_file
from app.live.published import Published
from app.store import database, revisions
from app.store.database import Sessions

log = structlog.get_logger()

NAME = "config"


def defaults(providers: Sequence[Provider], now_ms: int) -> RuntimeConfig:
    return runtime_config.initial(now_ms, {provider.name: _defaults_of(provider) for provider in providers})


def _defaults_of(provider: Provider) -> ProviderConfig:
    return ProviderConfig(enabled=provider.enabled, priority=provider.priority, timeout=provider.timeout_ms)


def parse(body: str) -> RuntimeConfig:
    """Raises InvalidRequest for a document that is not ours, ValueError for what is not JSON."""
    try:
        return runtime_config.parse(json.loads(body))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def dump(config: RuntimeConfig) -> str:
    return json.dumps(config.document(), separators=(",", ":"))


def live(sessions: Sessions, providers: Sequence[Provider], now_ms: int) -> Published[RuntimeConfig]:
    """The config as this process sees it; the defaults until it is first refreshed."""

    def durable() -> tuple[int, str] | None:
        with database.transaction(sessions) as session:
            config = revisions.latest(session)
        return None if config is None else (config.revision, dump(config))

    return Published(NAME, defaults(providers, now_ms), parse=parse, durable=durable)


def publish(connection: redis.Redis, config: RuntimeConfig) -> None:
    """Best effort: what Redis misses now, the reaper brings within a minute."""
    try:
        published.publish(connection, NAME, config.revision, dump(config))
    except redis.RedisError as error:
        log.warning("config not published, the reaper will", version=config.version, reason=str(error))


@dataclass(frozen=True, slots=True)
class Signature:
    """Who writes a revision and why; kept with it."""

    author: str
    reason: str
    #: version the writer has seen; None: whatever stands
    if_match: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


def update(
    sessions: Sessions,
    connection: redis.Redis,
    change: Mapping[str, Any],
    *,
    author: str,
    reason: str,
    if_match: str | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> RuntimeConfig:
    """Merge a partial update into the newest revision, store it as the next one, publish it; raises as `write`."""
    by = Signature(author, reason, if_match, evidence or {})
    return write(sessions, connection, by, lambda session, current: runtime_config.merge(current, change))


def roll_back(sessions: Sessions, connection: redis.Redis, version: int, by: Signature) -> RuntimeConfig:
    """The settings of an earlier version, as a new revision; raises NotFound, and as `write`."""

    def restore(session: Session, current: RuntimeConfig) -> RuntimeConfig:
        return config_history.restored(current, runtime_config.parse(revisions.get(session, version).document))

    return write(sessions, connection, by, restore)


def hand_in(sessions: Sessions, connection: redis.Redis, document: object, by: Signature) -> RuntimeConfig:
    """The settings of a whole document (an export, a snapshot file), as a new revision; raises as `write`."""
    return write(sessions, connection, by, lambda session, current: config_history.imported(current, document))


def reset(sessions: Sessions, connection: redis.Redis, providers: Sequence[Provider], by: Signature) -> RuntimeConfig:
    """The defaults, as a new revision; raises as `write`."""
    start = defaults(providers, epoch_ms())
    return write(sessions, connection, by, lambda session, current: config_history.restored(current, start))


def write(
    sessions: Sessions,
    connection: redis.Redis,
    by: Signature,
    edit: Callable[[Session, RuntimeConfig], RuntimeConfig],
) -> RuntimeConfig:
    """Store what `edit` makes of the newest revision as the next one, publish it.

    Raises InvalidRequest naming the field, PreconditionFailed where `by.if_match` is not the newest version,
    DependencyUnavailable where Postgres is away (nothing is changed then).
    """
    with database.transaction(sessions) as session:
        revisions.lock(session)
        current = revisions.latest(session)
        if current is None:
            raise DependencyUnavailable("there is no runtime config yet: the system is still starting")
        if by.if_match is not None and by.if_match != current.version:
            raise PreconditionFailed(
                f"the config is at version {current.version}, not {by.if_match}: read it again, then repeat the change",
                field="If-Match",
            )
        now_ms = epoch_ms()
        edited = config_history.steered(current, edit(session, current), by.author, now_ms)
        stored = revisions.add(
            session, edited, now_ms=now_ms, author=by.author, reason=by.reason, evidence=dict(by.evidence)
        )
    publish(connection, stored)
    return stored


def recover(sessions: Sessions, connection: redis.Redis, file: Path, providers: Sequence[Provider]) -> RuntimeConfig:
    """Bring the copies to the newest version any of them holds; that version."""
    with database.transaction(sessions) as session:
        revisions.lock(session)
        stored = revisions.latest(session)
        config = _newest(stored, _from_redis(connection)) or snapshot_file.read(file)
        if config is None:
            config = revisions.add(
                session,
                defaults(providers, epoch_ms()),
                now_ms=epoch_ms(),
                author="system-init",
                reason="first start: the defaults",
            )
        elif stored is None or config.revision > stored.revision:
            reason = f"recovered: PostgreSQL held {'no version' if stored is None else 'version ' + stored.version}"
            config = revisions.add(
                session,
                config,
                now_ms=config.timestamp,
                author="system-recovery",
                reason=reason,
                version=max(config.revision, 1),
            )
            log.warning("config recovered", version=config.version, reason=reason)
        missing = {p.name: _defaults_of(p) for p in providers if p.name not in config.providers}
        if missing:
            config = revisions.add(
                session,
                config.model_copy(update={"providers": {**config.providers, **missing}}),
                now_ms=epoch_ms(),
                author="system-init",
                reason=f"providers.toml has {', '.join(missing)}, new here",
            )
    publish(connection, config)
    return config


def _newest(*configs: RuntimeConfig | None) -> RuntimeConfig | None:
    return max((config for config in configs if config is not None), key=lambda c: c.revision, default=None)


def _from_redis(connection: redis.Redis) -> RuntimeConfig | None:
    try:
        found = published.read(connection, NAME)
        return None if found is None else parse(found[1])
    except (redis.RedisError, ValueError, InvalidRequest) as error:
        log.warning("config in redis not readable", reason=str(error))
        return None


def epoch_ms() -> int:
    return time.time_ns() // 1_000_000


def to_ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def utc_now() -> datetime:
    return datetime.now(UTC)

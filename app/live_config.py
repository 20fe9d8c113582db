"""The runtime config as processes see it: published through Redis, durable in Postgres, readable in a file.

A revision is written to Postgres first, then published to Redis. At start the newest copy wins (Postgres, Redis,
then config/runtime.json, then the defaults) and whichever copy is behind is brought up.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis
import structlog

from app import published
from app.domain import runtime_config
from app.domain.catalog import Provider
from app.domain.runtime_config import ProviderConfig, RuntimeConfig
from app.errors import DependencyUnavailable, InvalidRequest, PreconditionFailed
from app.published import Published
from app.store import database, revisions
from app.store.database import Sessions

log = structlog.get_logger()

NAME = "config"
#: the snapshot file is written at most this often
FILE_EVERY_S = 1.0


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


def update(
    sessions: Sessions,
    connection: redis.Redis,
    change: Mapping[str, Any],
    *,
    author: str,
    reason: str,
    if_match: str | None = None,
) -> RuntimeConfig:
    """Merge a partial update into the newest revision, store it as the next one, publish it.

    Raises InvalidRequest naming the field, PreconditionFailed where `if_match` is not the newest version,
    DependencyUnavailable where Postgres is away (nothing is changed then).
    """
    with database.transaction(sessions) as session:
        revisions.lock(session)
        current = revisions.latest(session)
        if current is None:
            raise DependencyUnavailable("there is no runtime config yet: the system is still starting")
        if if_match is not None and if_match != current.version:
            raise PreconditionFailed(
                f"the config is at version {current.version}, not {if_match}: read it again, then repeat the change",
                field="If-Match",
            )
        merged = runtime_config.merge(current, change)
        merged = merged.model_copy(update={"metadata": merged.metadata.model_copy(update={"optimized_by": author})})
        stored = revisions.add(session, merged, now_ms=epoch_ms(), author=author, reason=reason)
    publish(connection, stored)
    return stored


def recover(sessions: Sessions, connection: redis.Redis, file: Path, providers: Sequence[Provider]) -> RuntimeConfig:
    """Bring the copies to the newest version any of them holds; that version."""
    with database.transaction(sessions) as session:
        revisions.lock(session)
        stored = revisions.latest(session)
        config = _newest(stored, _from_redis(connection)) or _from_file(file)
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


def _from_file(file: Path) -> RuntimeConfig | None:
    try:
        return parse(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, InvalidRequest) as error:
        log.warning("snapshot file not readable, ignored", file=str(file), reason=str(error))
        return None


class SnapshotFile:
    """Keeps config/runtime.json at the live document: atomically, at most once a second, the last state always."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._latest: RuntimeConfig | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="snapshot-file", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def offer(self, config: RuntimeConfig) -> None:
        self._latest = config
        self._wake.set()

    def stop(self) -> None:
        """Write what is still waiting, then end."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(timeout=FILE_EVERY_S + 2)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait()
            self._wake.clear()
            if self._latest is not None:
                write_snapshot(self._file, self._latest)
            self._stopping.wait(FILE_EVERY_S)
        if self._latest is not None:
            write_snapshot(self._file, self._latest)


def write_snapshot(file: Path, config: RuntimeConfig) -> bool:
    """Replace the file unless it holds this version or a newer one; a failure is reported, never raised."""
    held = _from_file(file)
    if held is not None and held.revision >= config.revision:
        return False
    temporary = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as out:
            out.write(json.dumps(config.document(), indent=2) + "\n")
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(file)
    except OSError as error:
        log.error("snapshot file not written", file=str(file), reason=str(error))
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        return False
    return True


def epoch_ms() -> int:
    return time.time_ns() // 1_000_000


def to_ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def utc_now() -> datetime:
    return datetime.now(UTC)

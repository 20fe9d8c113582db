"""What doctor says of PostgreSQL and Redis: each is tried as it is used."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import redis
from sqlalchemy import Engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import sessionmaker

from app import bootstrap
from app.errors import DependencyUnavailable
from app.operations.health import CLOCK_S, WRITTEN, WRITTEN_S
from app.providers.checkup import Finding, Status
from app.settings import Settings
from app.store import database, health

#: of libpq, that check who answers
VERIFIES = ("verify-full", "verify-ca")
KEEPS_ALL = "noeviction"


def findings(configured: Settings) -> list[Finding]:
    return [*_postgres(configured), *_redis(configured)]


def _of(check: str, status: Status, detail: str, fix: str = "") -> Finding:
    return Finding("servers", check, status, detail, fix)


def _postgres(configured: Settings) -> Iterator[Finding]:
    if not configured.database_url:
        yield _of("postgres", Status.SKIPPED, "DATABASE_URL is not set: `make up` starts its own")
        return
    engine = database.create(configured.database_url, pool_size=1)
    try:
        yield from _tried(engine)
    except DBAPIError as error:
        yield _of(
            "postgres", Status.FAILED, str(error.orig).strip().splitlines()[0], "start it, or correct DATABASE_URL"
        )
    except DependencyUnavailable as error:
        yield _of("postgres", Status.FAILED, str(error), "give the role its rights, and the disk room")
    finally:
        engine.dispose()
    if unverified := _unverified(configured.database_url):
        advice = "add sslmode=verify-full and sslrootcert=system (or a file) to DATABASE_URL"
        yield _of("postgres tls", Status.WARNING, f"{unverified} is not asked who it is", advice)


def _tried(engine: Engine) -> Iterator[Finding]:
    if not database.is_current(engine):
        yield _of("postgres", Status.FAILED, "reachable, its schema is older", "run `tooloo migrate`")
        return
    with database.transaction(sessionmaker(engine)) as session:
        health.write(session)
        off_s = (datetime.now(UTC) - database.now(session)).total_seconds()
    yield _of("postgres", Status.OK, "reachable, schema up to date, a row was written")
    yield _clock("postgres clock", off_s)


def _unverified(url: str) -> str | None:
    """The host that is reached over a network without a look at its certificate."""
    read = make_url(url)
    host = str(read.host or read.query.get("host", ""))
    near = not host or host.startswith("/") or host in ("127.0.0.1", "localhost", "::1")
    return None if near or read.query.get("sslmode") in VERIFIES else host


def _redis(configured: Settings) -> Iterator[Finding]:
    if not configured.redis_url:
        yield _of("redis", Status.SKIPPED, "REDIS_URL is not set: `make up` starts its own")
        return
    try:
        with bootstrap.connect(configured.redis_url) as connection:
            connection.set(WRITTEN, "1", ex=WRITTEN_S)
            seconds, micros = connection.time()
            policy = str(connection.info("memory").get("maxmemory_policy", KEEPS_ALL))
    except (redis.ConnectionError, redis.TimeoutError) as error:
        yield _of("redis", Status.FAILED, str(error), "start it, or correct REDIS_URL")
        return
    except redis.RedisError as error:
        yield _of("redis", Status.FAILED, f"reachable, cannot be written: {error}", "correct what it says")
        return
    yield _of("redis", Status.OK, "reachable, a key was written")
    yield _clock("redis clock", datetime.now(UTC).timestamp() - (seconds + micros / 1e6))
    if policy != KEEPS_ALL:
        detail = f"maxmemory-policy is {policy}: once it is full, whole queues go"
        yield _of("redis memory", Status.FAILED, detail, f"set maxmemory-policy {KEEPS_ALL}")


def _clock(check: str, off_s: float) -> Finding:
    if abs(off_s) <= CLOCK_S:
        return _of(check, Status.OK, f"within {CLOCK_S:g} s of this machine's")
    side = "ahead of" if off_s > 0 else "behind"
    return _of(
        check,
        Status.WARNING,
        f"this machine's is {abs(off_s):.0f} s {side} it",
        "synchronise both: timedatectl set-ntp true",
    )

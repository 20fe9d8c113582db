"""What doctor approves of, it has tried."""

from __future__ import annotations

from datetime import timedelta

import pytest
import redis
from sqlalchemy import create_engine, text

from app import settings
from app.cli import doctor_servers
from app.operations import health
from app.providers.checkup import Finding, Status
from app.store import database
from tests.support.system import System


def found(**values: str) -> dict[str, Finding]:
    return {each.check: each for each in doctor_servers.findings(settings.load(values, dotenv=None))}


def test_a_row_and_a_key_are_written_and_clocks_compared(database_url: str, redis_url: str) -> None:
    told = found(DATABASE_URL=database_url, REDIS_URL=redis_url)

    assert {name: each.status for name, each in told.items()} == dict.fromkeys(
        ("postgres", "postgres clock", "redis", "redis clock"), Status.OK
    )


def test_a_database_that_may_only_be_read_is_not_approved_of(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        name = connection.scalar(text("SELECT current_database()"))
        connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    engine.dispose()
    told = found(DATABASE_URL=database_url)["postgres"]

    assert told.status is Status.FAILED
    assert "read-only" in told.detail


def test_a_redis_that_evicts_is_not_approved_of(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as connection:
        connection.config_set("maxmemory-policy", "allkeys-lru")
        told = found(REDIS_URL=redis_url)
        connection.config_set("maxmemory-policy", "noeviction")

    assert told["redis memory"].status is Status.FAILED
    assert "allkeys-lru" in told["redis memory"].detail


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("postgresql://u@db.example.com/x", True),
        ("postgresql://u@db.example.com/x?sslmode=require", True),
        ("postgresql://u@db.example.com/x?sslmode=verify-full", False),
        ("postgresql://u@127.0.0.1/x", False),
        ("postgresql://u@/x?host=/run", False),
    ],
)
def test_a_far_database_that_is_not_verified_is_said(url: str, warned: bool) -> None:
    assert bool(doctor_servers._unverified(url)) is warned


@pytest.mark.parametrize(("ahead_s", "said"), [(0, "ok"), (20, "20 s ahead of"), (-20, "20 s behind")])
def test_a_clock_that_is_off_is_said_by_readyz(
    system: System, monkeypatch: pytest.MonkeyPatch, ahead_s: int, said: str
) -> None:
    real = database.now
    monkeypatch.setattr(health.database, "now", lambda session: real(session) - timedelta(seconds=ahead_s))

    assert health._clock(system.services).startswith(said)

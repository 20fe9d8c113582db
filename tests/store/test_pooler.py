"""PostgreSQL behind pgbouncer in transaction mode, where a session is one transaction long."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from app.errors import DependencyUnavailable
from app.store import database, migration_lock
from app.store.models import SCHEMA
from tests.support import servers
from tests.support.pgbouncer import PROGRAM, pgbouncer

pooled = pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed")


@pytest.fixture(params=["", "ignore_startup_parameters = options"], ids=["refuses options", "drops options"])
def through(database_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    with servers.folder() as folder, pgbouncer(database_url, folder, request.param) as url:
        yield url


def _bounds(engine: Engine) -> tuple[str, ...]:
    with engine.begin() as connection:
        return tuple(
            connection.scalar(text(f"SHOW {name}"))
            for name in ("statement_timeout", "idle_in_transaction_session_timeout", "timezone")
        )


@pooled
def test_every_transaction_is_bounded_behind_a_pooler_and_nobody_else_is(through: str) -> None:
    engine, other = database.create(through), create_engine(through)
    before = _bounds(other)

    assert [_bounds(engine) for _ in range(3)] == [("30s", "1min", "UTC")] * 3
    assert _bounds(other) == before != ("30s", "1min", "UTC")  # the same session of the server
    engine.dispose()
    other.dispose()


def test_without_one_they_come_with_the_connection(database_url: str) -> None:
    engine = database.create(database_url)
    with engine.connect() as connection:
        connection.commit()
        assert connection.connection.dbapi_connection is not None
        assert "statement_timeout=30s" in connection.connection.dbapi_connection.info.options  # type: ignore[attr-defined]  # psycopg2's
    assert _bounds(engine) == ("30s", "1min", "UTC")
    engine.dispose()


@pooled
def test_a_migration_through_a_pooler_leaves_no_lock_behind(through: str, database_url: str) -> None:
    assert database.migrate(through) == database.migrate(database_url, patience_s=0) == SCHEMA

    with create_engine(database_url).connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")) == 0


def test_a_migration_waits_for_another_one_says_so_and_gives_up(database_url: str) -> None:
    told: list[str] = []
    with create_engine(database_url).connect() as other:
        pid = other.scalar(text("SELECT pg_backend_pid()"))
        other.execute(text("SELECT pg_advisory_lock(:key)"), {"key": migration_lock.KEY})
        with pytest.raises(DependencyUnavailable, match=f"waited 0.3 s for another migration: session {pid}"):
            database.migrate(database_url, patience_s=0.3, tell=told.append)
        other.commit()
        with pytest.raises(DependencyUnavailable, match=rf"SELECT pg_terminate_backend\({pid}\)"):
            database.migrate(database_url, patience_s=0)
        other.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": migration_lock.KEY})

    assert [said.partition(":")[0] for said in told] == ["waiting for another migration"]
    assert database.migrate(database_url) == SCHEMA


def test_a_table_that_somebody_holds_ends_a_migration_in_one_line(empty_database_url: str, tmp_path: Path) -> None:
    database.migrate(empty_database_url)
    engine = create_engine(empty_database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0015'"))
    with engine.connect() as holder:
        holder.execute(text("LOCK TABLE alembic_version, api_keys IN ACCESS SHARE MODE"))
        with pytest.raises(
            DependencyUnavailable, match="nothing was migrated, try again: canceling statement due to lock"
        ):
            database.migrate(empty_database_url)
    engine.dispose()


def test_the_schema_of_a_later_release_is_left_alone(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    assert database.migrate(database_url) == "9999"
    engine.dispose()

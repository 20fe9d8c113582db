from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError, DataError, DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.orm import sessionmaker

from app.errors import DependencyUnavailable
from app.store import database, keys
from app.store.database import Sessions
from app.store.models import SCHEMA, Base


def test_migrated_schema_is_the_declared_schema(database_url: str) -> None:
    engine = database.create(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_the_code_needs_the_newest_migration_and_takes_a_newer_one(database_url: str, empty_database_url: str) -> None:
    engine, empty = database.create(database_url), database.create(empty_database_url)

    assert database.migrate(database_url) == SCHEMA
    assert database.is_current(engine)
    assert not database.is_current(empty)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert database.is_current(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    assert not database.is_current(engine)
    engine.dispose()
    empty.dispose()


def test_migrating_twice_changes_nothing(database_url: str) -> None:
    assert database.migrate(database_url) == database.migrate(database_url)


def test_a_key_of_an_older_release_keeps_the_default(empty_database_url: str) -> None:
    engine = database.create(empty_database_url)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[2] / "migrations"))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0008")
        connection.execute(
            text(
                "INSERT INTO api_keys (id, name, hash, scopes, created_by, changed)"
                " VALUES ('k', 'app', 'h', '[\"chat\"]', 'anna', 1)"
            )
        )
        connection.commit()
    database.migrate(empty_database_url)
    with database.transaction(sessionmaker(engine)) as session:
        assert [(key.id, key.parameters) for key in keys.active(session)] == [("k", None)]
    engine.dispose()


def test_a_database_that_is_away_is_said_to_be(tmp_path: object) -> None:
    engine = database.create(f"postgresql+psycopg2://postgres@/nothing?host={tmp_path}")

    with (
        pytest.raises(DependencyUnavailable, match="PostgreSQL is not reachable"),
        database.transaction(sessionmaker(engine)) as session,
    ):
        database.now(session)


def test_the_clock_is_the_databases(sessions: Sessions) -> None:
    with database.transaction(sessions) as session:
        assert database.now(session).tzinfo is not None


@pytest.mark.parametrize("kind", [OperationalError, InterfaceError, InternalError, DatabaseError])
def test_whatever_a_lost_server_is_called_it_is_a_lost_server(sessions: Sessions, kind: type[DBAPIError]) -> None:
    with pytest.raises(DependencyUnavailable, match="closed the connection"), database.transaction(sessions):
        raise kind("SELECT 1", None, Exception("server closed the connection unexpectedly"))


def test_what_postgres_cannot_hold_is_no_lost_server(sessions: Sessions) -> None:
    with pytest.raises(DataError), database.transaction(sessions):
        raise DataError("SELECT 1", None, Exception("invalid byte sequence"))

"""The database: engine, sessions, migrations, the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, NullPool, create_engine, func, select, text
from sqlalchemy.exc import (
    DatabaseError,
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from app.errors import DependencyUnavailable
from app.store import migration_lock, pooled
from app.store.models import SCHEMA

#: s that a migration waits for another one
LOCK_PATIENCE_S = 300.0

Sessions = sessionmaker[Session]


def create(url: str, *, pool_size: int = 5) -> Engine:
    """An engine that notices dead connections and never waits for ever.

    statement_timeout bounds a query, pool_timeout the wait for a connection; TCP keepalives a silent server.
    """
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=5,
        pool_pre_ping=True,
        pool_recycle=1800,
        hide_parameters=True,  # in the texts of its errors: they are of requests
        executemany_mode="values_plus_batch",  # rows of one statement in one round trip, whatever the statement
        connect_args={
            "connect_timeout": 3,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        },
    )
    pooled.bound(engine)
    return engine


@contextmanager
def transaction(sessions: Sessions) -> Iterator[Session]:
    """One transaction; a database that is lost, or cannot do its work now, becomes DependencyUnavailable."""
    try:
        with sessions.begin() as session:
            yield session
    except (DBAPIError, PoolTimeout) as error:
        if (what := _unavailable(error)) is None:
            raise
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()
        raise DependencyUnavailable(f"{what}: {reason[0] if reason else repr(error)}") from error


#: SQLSTATE classes and codes (PostgreSQL, appendix A) of a server that is there and cannot do what it is asked now:
#: no room or memory, no lock in time, read-only, a query cut short, its own fault
_UNABLE = ("53", "54023", "55", "57014", "40", "58", "XX", "F0", "25006", "25P03")
#: … and of a connection that is lost, or refused
_UNREACHABLE = ("08", "57P", "28", "3D")
#: … of a schema of another release
_OTHER_SCHEMA = ("42P01", "42703", "3F000")
#: … and of a row that no table takes: trying again would not help
_UNSTORABLE = ("22", "23", "54", "42804")


def sqlstate(error: BaseException) -> str | None:
    """The code PostgreSQL gave; None where it said nothing, as when the connection is gone."""
    return getattr(getattr(error, "orig", None), "pgcode", None)


def is_unstorable(error: Exception) -> bool:
    """Does it lie in the row that was to be stored? Then it would fail again, whenever it is tried."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, ValueError | StatementError)  # the driver's own word for a value it cannot send
    code = sqlstate(error)
    if code is not None:
        return code.startswith(_UNSTORABLE)
    # said by the driver before the server heard of it: `can't adapt type 'dict'`
    return isinstance(error, DataError | IntegrityError | ProgrammingError) and not error.connection_invalidated


def _unavailable(error: DBAPIError | PoolTimeout) -> str | None:
    """What is wrong with the server; None where the fault lies in what it was asked."""
    if isinstance(error, PoolTimeout):
        return "PostgreSQL is not reachable"
    code = sqlstate(error)
    if code is None:
        # a crash of the server is a bare DatabaseError at times
        lost = isinstance(error, OperationalError | InterfaceError | InternalError) or type(error) is DatabaseError
        return "PostgreSQL is not reachable" if lost or error.connection_invalidated else None
    if code.startswith(_UNREACHABLE):
        return "PostgreSQL is not reachable"
    if code in _OTHER_SCHEMA:
        return "PostgreSQL has not the schema of this release (run `tooloo migrate`)"
    return "PostgreSQL cannot do it now" if code.startswith(_UNABLE) else None


def now(session: Session) -> datetime:
    """The database's clock: leases, slots and deadlines of all hosts are read off this one."""
    return session.execute(select(func.now())).scalar_one()


def migrate(url: str, *, patience_s: float = LOCK_PATIENCE_S, tell: Callable[[str], None] = lambda said: None) -> str:
    """Bring the schema up to date; the revision it is at then, also where that is one of a later release.

    Safe to call from many places at once; `tell` hears what it waits for. Raises DependencyUnavailable where it cannot
    be done now.
    """
    engine = create_engine(url)
    try:
        with migration_lock.held(engine, patience_s, tell), engine.connect() as connection:
            present = _revision(connection)
            return present if present is not None and present > SCHEMA else _upgrade(connection)
    except DBAPIError as error:
        if _unavailable(error) is None:
            raise
        reason = str(error.orig).strip().splitlines()[0]
        raise DependencyUnavailable(f"nothing was migrated, try again: {reason}") from error
    finally:
        engine.dispose()


def _upgrade(connection: Connection) -> str:
    # one process in seven migrates: the others start without Alembic
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[2] / "migrations"))
    config.attributes["connection"] = connection
    connection.rollback()  # it begins what it needs
    command.upgrade(config, "head")
    connection.commit()
    return str(_revision(connection))


def is_current(engine: Engine) -> bool:
    """Does the schema have what this code needs? A newer one has: it was made for the release that follows."""
    with engine.connect() as connection:
        present = _revision(connection)
    return present is not None and present >= SCHEMA


def _revision(connection: Connection) -> str | None:
    """None: there is no schema of ours."""
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    found = connection.scalar(text("SELECT max(version_num) FROM alembic_version"))
    return None if found is None else str(found)


def problem(url: str) -> str | None:
    """Why this PostgreSQL cannot be used, in one line; None: it answers."""
    engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": 5})
    try:
        engine.connect().close()
    except DBAPIError as error:
        return (str(error.orig).strip() or type(error.orig).__name__).splitlines()[0]
    return None

"""What every transaction of ours is bounded by, with a pooler between us and PostgreSQL or without."""

from __future__ import annotations

from typing import Any

import psycopg2
from sqlalchemy import Connection, Engine, event

#: who is frozen within a transaction must not hold its locks for ever
BOUNDS = {
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "1min",
    "timezone": "UTC",
}
#: of one connection: its bounds are said in each transaction
_EACH_TIME = "bounds are said in each transaction"
_UNSUPPORTED = "unsupported startup parameter"


def bound(engine: Engine) -> None:
    """As the connection starts, in no round trip; where a pooler refuses or drops that, as each transaction begins.

    What is set later is the server's own session's: pgbouncer would give it to other clients, and us another session.
    """
    event.listen(engine, "do_connect", _connected)
    event.listen(engine, "connect", _look)
    event.listen(engine, "begin", _begin)


def _connected(dialect: Any, record: Any, arguments: list[Any], parameters: dict[str, Any]) -> Any:
    options = " ".join(f"-c {name}={value}" for name, value in BOUNDS.items())
    before = parameters.get("options", "")
    try:
        return psycopg2.connect(*arguments, **{**parameters, "options": f"{before} {options}".strip()})
    except psycopg2.OperationalError as error:
        if _UNSUPPORTED not in str(error) or before:
            raise
        return psycopg2.connect(*arguments, **parameters)


def _look(connection: Any, record: Any) -> None:
    """Whether they hold: a pooler may drop them without a word (ignore_startup_parameters)."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        record.info[_EACH_TIME] = cursor.fetchone() != (BOUNDS["statement_timeout"],)
    connection.rollback()


def _begin(connection: Connection) -> None:
    if connection.info.get(_EACH_TIME):
        connection.exec_driver_sql("; ".join(f"SET LOCAL {name} = '{value}'" for name, value in BOUNDS.items()))

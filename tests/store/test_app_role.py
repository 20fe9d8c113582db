"""deploy/postgres/app-role.sql, run as it says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError

from app.cli.servers import _postgres_bin
from app.store import database
from app.store.models import SCHEMA
from tests.support.commands import ROOT

SCRIPT = ROOT / "deploy" / "postgres" / "app-role.sql"


def run(url: str, password: str | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "POSTGRES_APP_PASSWORD"}
    if password is not None:
        environment["POSTGRES_APP_PASSWORD"] = password
    command = [str(_postgres_bin() / "psql"), "-v", "ON_ERROR_STOP=1", "-f", str(SCRIPT), url.replace("+psycopg2", "")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


@pytest.fixture
def url(empty_database_url: str) -> Iterator[str]:
    yield empty_database_url
    engine = create_engine(empty_database_url)
    with engine.begin() as connection:
        connection.execute(text("DROP OWNED BY tooloo_app"))
        connection.execute(text("DROP ROLE tooloo_app"))
    engine.dispose()


def test_the_services_role_writes_rows_and_cannot_say_which_schema_this_is(url: str) -> None:
    assert run(url, "p'a%s$s").returncode == 0
    again = run(url, "another")  # sets the password anew
    assert (again.returncode, again.stderr) == (0, "") or "already exists, skipping" in again.stderr
    assert database.migrate(url) == SCHEMA

    engine = create_engine(url.replace("postgres@", "tooloo_app@"))
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == SCHEMA
        connection.execute(text("DELETE FROM api_keys"))
    for statement in (
        "UPDATE alembic_version SET version_num = '0000'",
        "DELETE FROM alembic_version",
        "DROP TABLE api_keys",
    ):
        with pytest.raises(ProgrammingError), engine.begin() as connection:
            connection.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize("password", [None, ""])
def test_without_a_password_it_says_so(empty_database_url: str, password: str | None) -> None:
    done = run(empty_database_url, password)

    assert done.returncode != 0
    assert "POSTGRES_APP_PASSWORD is empty" in done.stderr

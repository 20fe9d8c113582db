"""Backup and restore as docs/deployment.md says: pg_dump into a file, pg_restore from it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from sqlalchemy import create_engine, select

from app.cli.servers import _postgres_bin
from app.store.models import Base
from tests.support.rounds import run_round
from tests.support.system import System


def _tables(url: str) -> dict[str, list[str]]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = {
            table.name: sorted(repr(tuple(row)) for row in connection.execute(select(table)))
            for table in Base.metadata.sorted_tables
        }
    engine.dispose()
    return found


def _run(program: str, *arguments: str, url: str) -> None:
    command = [str(_postgres_bin() / program), *arguments, f"--dbname={url.replace('+psycopg2', '')}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_what_was_dumped_is_there_again_row_by_row(
    system: System, database_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    run_round(system)
    before = _tables(database_url)
    assert before["rounds"]
    assert before["revisions"]

    dump = str(tmp_path / "tooloo.dump")
    _run("pg_dump", "--format=custom", f"--file={dump}", url=database_url)
    for _ in range(2):  # into an empty database, and over what is there
        _run("pg_restore", "--clean", "--if-exists", dump, url=empty_database_url)

    assert _tables(empty_database_url) == before

"""Two releases side by side: the older one works on the newer one's schema, as migrations only add."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from app.benchmark import benchmark, reaper
from app.evidence import ingest
from app.store import database, rounds
from tests.support.system import ROOT, System

MIGRATIONS = sorted((ROOT / "migrations" / "versions").glob("0*.py"))
#: what takes from the release before what it reads or writes
TAKES = {"drop_table", "drop_column", "rename_table", "alter_column", "drop_constraint"}


def taken(migration: Path) -> set[str]:
    tree = ast.parse(migration.read_text())
    (upgrade,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "upgrade")
    calls = (node.func for node in ast.walk(upgrade) if isinstance(node, ast.Call))
    called = {function.attr for function in calls if isinstance(function, ast.Attribute)}
    return called & TAKES


@pytest.mark.parametrize("migration", MIGRATIONS, ids=lambda path: path.stem)
def test_a_migration_takes_nothing_from_the_release_before(migration: Path) -> None:
    assert taken(migration) == set()


def test_this_release_works_on_a_schema_that_a_newer_one_has_added_to(system: System) -> None:
    services = system.services
    with services.engine.begin() as connection:
        for table in inspect(connection).get_table_names():
            connection.execute(text(f"ALTER TABLE \"{table}\" ADD COLUMN of_a_newer_release jsonb DEFAULT '{{}}'"))
        connection.execute(text("CREATE TABLE of_a_newer_release (id bigint PRIMARY KEY)"))

    round_id = benchmark.start_round(services)
    while messages := system.celery.take_probes():
        for key in messages:
            benchmark.run_probe(services, key)
    assert benchmark.optimize(services, round_id)
    reaper.reap(services)
    ingest.ingest(services)

    with database.transaction(services.sessions) as session:
        record = rounds.get(session, round_id)
        assert record is not None
        assert record.status == "done"

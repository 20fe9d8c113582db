"""What is old is forgotten, in batches; what is not, stays."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select, text

from app.operations import retention
from app.store import database
from app.store.models import LiveOutcome, Probe, Revision, Round
from tests.support.rounds import run_round, with_policy
from tests.support.system import System


def count(system: System, table: type) -> int:
    with database.transaction(system.services.sessions) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def age(system: System, round_id: str, by: timedelta) -> None:
    with system.services.engine.begin() as connection:
        connection.execute(
            text("UPDATE rounds SET planned_at = planned_at - :by WHERE id = :id"), {"by": by, "id": round_id}
        )


def test_old_rounds_go_with_their_probes_and_their_revisions_stay(system: System) -> None:
    old, young = run_round(system), run_round(system)
    age(system, old, timedelta(days=401))
    revisions = count(system, Revision)

    assert retention.retain(system.services) == (1, 0)

    with database.transaction(system.services.sessions) as session:
        assert list(session.scalars(select(Round.id))) == [young]
        assert set(session.scalars(select(Probe.round_id))) == {young}
    assert count(system, Revision) == revisions


def test_a_round_under_way_is_never_forgotten(system: System) -> None:
    round_id = run_round(system)
    age(system, round_id, timedelta(days=9999))
    with system.services.engine.begin() as connection:
        connection.execute(text("UPDATE rounds SET status = 'running'"))

    assert retention.retain(system.services) == (0, 0)


def test_outcomes_go_in_batches_until_none_is_old(system: System) -> None:
    insert = """
        INSERT INTO outcomes (request_id, attempt, at, provider, model, task_type, success, latency_ms, simulated,
                              explored, revision)
        SELECT 'r' || n, 1, now() - make_interval(days => n), 'openai', 'm', 'default', true, 10, true, false, 1
        FROM generate_series(0, 199) AS n"""
    with system.services.engine.begin() as connection:
        connection.execute(text(insert))
    system = with_policy(system, retention={"outcomes_days": 90, "batch": 7})

    assert retention.retain(system.services) == (0, 110)
    assert count(system, LiveOutcome) == 90
    assert retention.retain(system.services) == (0, 0)

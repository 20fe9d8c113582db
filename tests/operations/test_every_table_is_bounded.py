"""No table grows for ever: each is forgotten in time, or it is said why it does not grow."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from app.operations import retention
from app.store import database, feedback
from app.store.models import Base
from tests.support.system import System

FORGOTTEN = {
    *("rounds", "probes", "outcomes", "feedback", "key_spending", "audit", "responses", "alerts", "breaker_turns"),
    *("requests", "rollup_due"),
}
REASONS = {
    "revisions": "made by people and by rounds: some thousand a year, and history is what they are for",
    "api_keys": "made by admins",
    "usage": "a row per day, key, segment and target, kept for ever; free segments are not bounded in number",
    "health_check": "one row",
    "learned": "one row",
    "rollups": "hours are forgotten; days and weeks are a row per target",
    "drawn_sums": "hours are forgotten; days are a row per target",
    "probed_sums": "days and weeks: a row per target and prompt",
}


def test_every_table_is_forgotten_in_time_or_does_not_grow() -> None:
    assert set(Base.metadata.tables) == FORGOTTEN | REASONS.keys()


def test_feedback_of_requests_that_never_were_is_forgotten_after_a_day(system: System) -> None:
    services = system.services
    with database.transaction(services.sessions) as session:
        for name in ("old", "new", "counted"):
            feedback.save(session, name, 0.5, None)
        session.execute(text("UPDATE feedback SET at = now() - interval '25 hours' WHERE request_id <> 'new'"))
        session.execute(text("UPDATE feedback SET counted_score = 0.5 WHERE request_id = 'counted'"))

    retention.retain(services)

    with database.transaction(services.sessions) as session:
        left = set(session.scalars(text("SELECT request_id FROM feedback")))
        assert left == {"new", "counted"}
        assert feedback.forget(session, timedelta(hours=1), 10) == 1


def test_what_keys_spent_is_forgotten_after_its_time(system: System) -> None:
    row = text("INSERT INTO key_spending VALUES ('k', current_date - :days, 1, 1, 1)")
    with system.services.engine.begin() as connection:
        connection.execute(row, [{"days": 401}, {"days": 399}])
    retention.retain(system.services)
    with system.services.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM key_spending")) == 1

"""Healthy is what can do its work, not what answers."""

from __future__ import annotations

from sqlalchemy import text

from app.operations.health import Vitals, checks
from app.store import database
from tests.support.rounds import run_round
from tests.support.system import System


def test_a_postgres_that_takes_no_write_is_not_ready(system: System) -> None:
    look = checks(system.services, Vitals())["postgres"]
    assert look() == "ok"
    name = system.services.engine.url.database
    with system.services.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
    system.services.engine.dispose()

    assert "read-only" in look()


def test_a_full_redis_is_not_ready(system: System) -> None:
    look = checks(system.services, Vitals())["redis"]
    redis = system.services.redis
    assert look() == "ok"
    redis.config_set("maxmemory", "1")
    try:
        assert look().startswith("Redis cannot be written")
    finally:
        redis.config_set("maxmemory", "0")
    assert look() == "ok"


def test_ingest_that_stands_still_is_said(system: System) -> None:
    look = checks(system.services, Vitals())["ingest"]
    assert look() == "ok"
    system.services.redis.xadd("tooloo:outcomes", {"outcome": "{}"}, id="1000-0")

    assert look().startswith("stands still: outcomes have waited")


def test_a_round_that_measured_nothing_is_no_sign_of_life(system: System) -> None:
    vitals = Vitals()
    look = checks(system.services, vitals)["benchmark"]
    run_round(system)
    assert look() == "ok"
    with database.transaction(system.services.sessions) as session:
        session.execute(text("UPDATE rounds SET planned_at = planned_at - interval '3 hours', finished_at = now()"))
        session.execute(text("UPDATE rounds SET slot_start = NULL"))
        session.execute(text("UPDATE probes SET latency_ms = NULL"))

    assert look().startswith("silent: no round with results")
    assert vitals.benchmark_age_s is not None

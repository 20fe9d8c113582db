"""Healthy is what can do its work, not what answers."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import text
from sqlalchemy.orm import sessionmaker

from app import bootstrap
from app.domain.policy import HealthPolicy
from app.operations.health import checks
from app.operations.vitals import Vitals
from app.store import database, health
from tests.support.ports import free_port, silent
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


def test_a_postgres_with_room_for_a_small_update_only_is_not_ready(system: System) -> None:
    """A page that is there takes the row again and again, long after the disk is full."""
    look = checks(system.services, Vitals())["postgres"]
    assert look() == "ok"
    name = system.services.engine.url.database
    with system.services.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"ALTER DATABASE \"{name}\" SET temp_file_limit = '{health.ROOM_KB // 2}kB'"))
    system.services.engine.dispose()

    assert look().startswith("PostgreSQL cannot do it now: temporary file size exceeds")


def test_a_redis_that_answers_too_late_is_not_told_as_full(system: System) -> None:
    with silent() as port:
        late = bootstrap.connect(f"redis://127.0.0.1:{port}/0")
        look = checks(replace(system.services, redis=late), Vitals())["redis"]

        assert look().startswith("Redis is not reachable: Timeout")


def test_the_age_of_the_benchmark_is_not_told_while_postgres_is_away(system: System) -> None:
    vitals = Vitals()
    run_round(system)
    assert checks(system.services, vitals)["benchmark"]() == "ok"
    assert vitals.benchmark_age_s is not None
    away = sessionmaker(database.create(f"postgresql+psycopg2://tooloo@127.0.0.1:{free_port()}/tooloo"))

    assert checks(replace(system.services, sessions=away), vitals)["benchmark"]().startswith("unknown: PostgreSQL")
    assert vitals.benchmark_age_s is None


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

    policy = replace(system.services.policy, health=HealthPolicy(ingest_silent_s=1e12))
    assert checks(replace(system.services, policy=policy), Vitals())["ingest"]() == "ok"


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

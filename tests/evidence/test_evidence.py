"""Evidence when its stores disagree."""

from __future__ import annotations

from sqlalchemy import update

from app.evidence import scorecard
from app.live import published
from app.store import database
from app.store.models import Learned
from tests.benchmark.test_benchmark import run_round
from tests.support.system import System


def test_a_postgres_from_a_backup_is_taken_over_again(system: System) -> None:
    services = system.services
    run_round(system)
    published.publish(services.redis, scorecard.NAME, 50, '{"targets": {}}')  # what came after the backup
    services.scorecard.refresh(services.redis)
    assert not services.scorecard.value.evidence

    scorecard.recover(services)
    services.scorecard.refresh(services.redis)

    assert services.scorecard.version == 51
    assert services.scorecard.value.evidence


def test_a_redis_that_is_behind_is_brought_up(system: System) -> None:
    services = system.services
    run_round(system)
    with database.transaction(services.sessions) as session:
        session.execute(update(Learned).values(generation=90))

    scorecard.recover(services)

    found = published.read(services.redis, scorecard.NAME)
    assert found is not None
    assert found[0] == 90

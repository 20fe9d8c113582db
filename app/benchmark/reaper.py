"""The reaper: what a lost message, a lost worker or a deadline left undone is found in Postgres, and done.

Every step of app.benchmark.benchmark may be lost, doubled or repeated; this is who repeats it.
"""

from __future__ import annotations

from datetime import timedelta

import structlog

from app.access import keys
from app.benchmark import benchmark
from app.errors import TooLooError
from app.evidence import scorecard
from app.live import live_config
from app.services import Services
from app.store import claims, database, rounds

log = structlog.get_logger()

#: silence after which the optimizer's message is sent again
OPTIMIZE_PATIENCE = timedelta(seconds=45)


def reap(services: Services) -> None:
    """Every minute: send again what was lost, close what is overdue, start a missing slot, restore Redis.

    A step that fails holds up none of the others.
    """
    for step in (_reap_rounds, restore, benchmark.start_slot):
        try:
            step(services)
        except TooLooError as error:
            log.warning("reaper: not done", step=step.__name__.strip("_"), reason=str(error))


def _reap_rounds(services: Services) -> None:
    """Give up on probes that lost their workers too often and on overdue rounds, and ask again for all that is open."""
    policy = services.policy.rounds
    with database.transaction(services.sessions) as session:
        lost = rounds.give_up_on_lost_probes(session, policy.max_attempts)
        overdue = rounds.close_overdue(session)
        unfinished = rounds.open_rounds(session)
        waiting = [key for each in unfinished for key in claims.waiting(session, each, policy.max_attempts)]
        stuck = rounds.stuck_optimizing(session, OPTIMIZE_PATIENCE)
    if lost or overdue or stuck:
        log.warning("reaper", lost_probes=lost, overdue_probes=overdue, stuck_rounds=stuck or None)
    services.messages.probes(benchmark.hints(services, waiting))
    for round_id in unfinished:
        benchmark.finish_round(services, round_id)
    for round_id in stuck:
        services.messages.optimize(round_id)


def restore(services: Services) -> None:
    """Bring Redis and the snapshot up to what Postgres holds."""
    live_config.recover(services.sessions, services.redis, services.settings.snapshot_file, services.providers)
    keys.recover(services.sessions, services.redis)
    scorecard.recover(services)

"""The reaper: what a lost message, a lost worker or a deadline left undone is found in Postgres, and done.

Every step of app.benchmark.benchmark may be lost, doubled or repeated; this is who repeats it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import structlog
from sqlalchemy.orm import Session

from app.access import keys as access_keys
from app.benchmark import benchmark
from app.broker import CONTROL, OPTIMIZER
from app.domain.rounds.rounds import ProbeKey
from app.errors import TooLooError
from app.evidence import scorecard
from app.live import live_config
from app.operations.vitals import waiting
from app.services import Services
from app.store import claims, database, rounds, troubles

log = structlog.get_logger()

#: silence after which the optimizer's message is sent again
OPTIMIZE_PATIENCE = timedelta(seconds=45)
#: … and that of the probes, where the queue that it would wait in is empty: it is not late, it is lost
LOST_AFTER = timedelta(seconds=3)


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
        keys = _waiting(services, session, unfinished)
        stuck = rounds.stuck_optimizing(session, OPTIMIZE_PATIENCE)
    if lost or overdue or stuck:
        log.warning("reaper", lost_probes=lost, overdue_probes=overdue, stuck_rounds=stuck or None)
    services.messages.probes(benchmark.hints(services, keys))
    for round_id in unfinished:
        benchmark.finish_round(services, round_id)
    for round_id in stuck:
        services.messages.optimize(round_id)


def send_lost(services: Services) -> None:
    """Every second: what waits in Postgres while its queue is empty was lost, with Redis or with who had taken it.

    A queue that nobody takes from does not fill up by this: with the first message it is empty no longer.
    """
    with database.transaction(services.sessions) as session:
        stuck = rounds.has_stuck_optimizing(session, LOST_AFTER)
        idle_since = troubles.idle_since(session)
        idle = idle_since is not None and idle_since < database.now(session) - LOST_AFTER
    if not (stuck or idle) or (queues := waiting(services)) is None:
        return
    if stuck and not queues[OPTIMIZER]:
        _send_optimize(services)
    if idle and not any(count for name, count in queues.items() if name not in (CONTROL, OPTIMIZER)):
        _send_probes(services)


def _send_optimize(services: Services) -> None:
    with database.transaction(services.sessions) as session:
        lost = rounds.stuck_optimizing(session, LOST_AFTER)
    for round_id in lost:
        log.info("optimize message was lost, sent again", round=round_id)
        services.messages.optimize(round_id)


def _send_probes(services: Services) -> None:
    with database.transaction(services.sessions) as session:
        keys = _waiting(services, session, rounds.open_rounds(session))
    log.info("messages of probes were lost, sent again", probes=len(keys))
    services.messages.probes(benchmark.hints(services, keys))


def _waiting(services: Services, session: Session, round_ids: Sequence[str]) -> list[ProbeKey]:
    most = services.policy.rounds.max_attempts
    return [key for each in round_ids for key in claims.waiting(session, each, most)]


def restore(services: Services) -> None:
    """Bring Redis and the snapshot up to what Postgres holds."""
    live_config.recover(services.sessions, services.redis, services.settings.snapshot_file, services.providers)
    access_keys.recover(services.sessions, services.redis)
    scorecard.recover(services)

"""Keeps the sums per hour and day up to date, a bounded number of hours in each transaction."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import redis
import structlog

from app.services import Services
from app.store import database, rollups

log = structlog.get_logger()

#: made in one transaction, which must end well within a statement's time also where an hour has a million calls
HOURS = 4
#: … and where they prove to be quick: a week, whose days and itself are then made once
MOST_HOURS = 168
#: s within which a transaction was quick
QUICK_S = 1.5
#: s after which a run begins no further transaction: ingest waits behind it, and what is left is for the next one
PATIENCE_S = 5.0
#: … which is asked for at once, behind what waits now: a Redis key says so, for as many s after the last such run
ASKED, ASKED_S = "tooloo:roll-up", 120


def again(services: Services) -> None:
    """Once an hour, for two hours: what a release without roll-ups wrote while it was replaced is marked nowhere."""
    with database.transaction(services.sessions) as session:
        now = database.now(session)
        rollups.mark(session, [now - timedelta(hours=1), now])


def roll_up(services: Services, is_ending: Callable[[], bool] = lambda: False, *, asked: bool = False) -> int:
    """The number of hours made. Many processes may do it at once: all but one leave at once.

    `asked`: by a run that left some, so that a year is made in minutes and ingest has its turn in between.
    """
    total, limit, left = 0, HOURS, True
    until_s = time.monotonic() + PATIENCE_S
    while left:
        began_s = time.monotonic()
        made = _made(services, limit)
        total, left = total + made, made == limit
        limit = min(MOST_HOURS, limit * 2) if time.monotonic() - began_s < QUICK_S else max(HOURS, limit // 2)
        if is_ending() or time.monotonic() > until_s:
            break
    if left and not is_ending():
        _ask_for_more(services, asked=asked)
    if total > 2:
        log.info("hours rolled up", hours=total)
    return total


def _ask_for_more(services: Services, *, asked: bool) -> None:
    """One message at a time: who was not asked for leaves it to who was."""
    try:
        if services.redis.set(ASKED, "1", nx=not asked, ex=ASKED_S):
            services.messages.roll_up()
    except redis.RedisError as error:
        log.warning("what is left to roll up waits for the next run", reason=str(error))


def _made(services: Services, limit: int) -> int:
    policy = services.policy.retention
    days = [timedelta(days=each) for each in (policy.outcomes_days, policy.rounds_days, policy.hourly_days)]
    with database.transaction(services.sessions) as session:
        return rollups.roll_up(session, limit, rollups.Kept(*days)) or 0

"""Keeps the sums per hour and day up to date, a bounded number of hours in each transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import structlog

from app.services import Services
from app.store import database, rollups

log = structlog.get_logger()

#: made in one transaction: a moment's work, and what was there before the first run is made in pieces
HOURS = 24
#: transactions of one run; what is left then waits for the next one
MOST_BATCHES = 100


def again(services: Services) -> None:
    """Once an hour, for two hours: what a release without roll-ups wrote while it was replaced is marked nowhere."""
    with database.transaction(services.sessions) as session:
        now = database.now(session)
        rollups.mark(session, [now - timedelta(hours=1), now])


def roll_up(services: Services, is_ending: Callable[[], bool] = lambda: False) -> int:
    """The number of hours made. Many processes may do it at once: all but one leave at once."""
    policy = services.policy.retention
    days = [timedelta(days=each) for each in (policy.outcomes_days, policy.rounds_days, policy.hourly_days)]
    kept = rollups.Kept(*days)
    total = 0
    for _ in range(MOST_BATCHES):
        with database.transaction(services.sessions) as session:
            made = rollups.roll_up(session, HOURS, kept) or 0
        total += made
        if made < HOURS or is_ending():
            break
    if total > 2:
        log.info("hours rolled up", hours=total)
    return total

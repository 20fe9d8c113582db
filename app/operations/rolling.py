"""Keeps the sums per hour and day up to date, a bounded number of hours in each transaction."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import structlog

from app.services import Services
from app.store import database, rollups

log = structlog.get_logger()

#: made in one transaction, which must end well within a statement's time also where an hour has a million calls
HOURS = 4
#: s after which a run begins no further transaction: ingest waits behind it, and what is left is for the next one
PATIENCE_S = 5.0


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
    until_s = time.monotonic() + PATIENCE_S
    while True:
        with database.transaction(services.sessions) as session:
            made = rollups.roll_up(session, HOURS, kept) or 0
        total += made
        if made < HOURS or is_ending() or time.monotonic() > until_s:
            break
    if total > 2:
        log.info("hours rolled up", hours=total)
    return total

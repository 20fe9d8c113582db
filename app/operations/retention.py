"""Forgets rounds, probes, outcomes, their sums per hour and kept responses that are older than the policy has it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import structlog
from sqlalchemy.orm import Session

from app.services import Services
from app.store import alerts, audit, breaker_turns, database, feedback, key_spending, retention, rollups

log = structlog.get_logger()

#: batches of one look; what is left then waits for the next one
MOST_BATCHES = 200


def retain(services: Services) -> tuple[int, int]:
    """Delete in short transactions; how many rounds and outcomes are gone. Many processes may do it at once."""
    kept = timedelta(days=services.policy.gateway.log_days)
    if responses := _in_batches(services, retention.delete_responses, kept, services.policy.retention.batch):
        log.info("old responses deleted", responses=responses)
    policy = services.policy.retention
    _in_batches(services, feedback.forget_unknown, feedback.PATIENCE, policy.batch)
    _in_batches(services, feedback.forget, timedelta(days=policy.outcomes_days), policy.batch)
    _in_batches(services, key_spending.forget, timedelta(days=policy.hourly_days), policy.batch)
    _in_batches(services, audit.forget, timedelta(days=policy.audit_days), policy.batch)
    _in_batches(services, alerts.forget, timedelta(days=policy.outcomes_days), policy.batch)
    _in_batches(services, breaker_turns.forget, timedelta(days=policy.hourly_days), policy.batch)
    if sums := _in_batches(services, rollups.delete_hours, timedelta(days=policy.hourly_days), policy.batch):
        log.info("old sums per hour deleted", rows=sums)
    gone = (
        _in_batches(services, retention.delete_rounds, timedelta(days=policy.rounds_days), policy.batch // 50 + 1),
        _in_batches(services, retention.delete_outcomes, timedelta(days=policy.outcomes_days), policy.batch),
    )
    if any(gone):
        log.info("old rows deleted", rounds=gone[0], outcomes=gone[1])
    return gone


def _in_batches(
    services: Services, delete: Callable[[Session, timedelta, int], int], older: timedelta, batch: int
) -> int:
    total = 0
    for _ in range(MOST_BATCHES):
        with database.transaction(services.sessions) as session:
            count = delete(session, older, batch)
        total += count
        if count < batch:
            break
    return total

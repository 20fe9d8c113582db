"""Between rounds, with `continuousLearning`: what live traffic says, looked at every `updateFrequency` ms.

    ingest → drift detectors (in its own transaction)     check → exploration, weights → revision
                        └─ what they found ────────────────┤
    gateway → breakers in Redis ── one that opened ────────┴─→ a round out of turn

A worker calls `check` after each ingest, any number of them: the row `learned` says when it was last done.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from app.benchmark import applying, benchmark
from app.domain.catalog import Target
from app.domain.config.runtime_config import RuntimeConfig
from app.domain.evidence.drift import Watched
from app.domain.optimizer import between_rounds
from app.domain.optimizer.optimizer import Optimization
from app.domain.routing.breaker import Breaker
from app.errors import NoTarget
from app.evidence import scorecard
from app.gateway import breakers
from app.live import live_config
from app.services import Services
from app.store import database, outcomes, revisions
from app.store.models import Learned

log = structlog.get_logger()


def check(services: Services) -> bool:
    """One pass, if it is time for one; False where it is not, or continuous learning is off."""
    if not services.config.value.learns_continuously:
        return False
    opened = breakers.told(services.redis)
    published: RuntimeConfig | None = None
    with database.transaction(services.sessions) as session:
        row, now = outcomes.learned(session), database.now(session)
        if not _is_time(row, services.config.value, now):
            return False
        revisions.lock(session)
        current = revisions.latest(session) or services.config.value
        since, row.checked_at = row.checked_at, now
        watched = Watched.from_json(row.drift)
        row.drift = Watched(watched.detectors).to_json()
        result = between_rounds.optimize(
            applying.state_of(row),
            scorecard.held(row),
            current.global_.provider_weights,
            current.global_.exploration_rate,
            services.policy,
        )
        if result is not None and current.features.auto_optimization:
            published = _applied(session, current, result, now)
        if result is not None and published is not None:
            row.optimizer = result.state.to_json()
    if published is not None:
        live_config.publish(services.redis, published)
    for insight in result.insights if result is not None else ():
        log.info(insight.text, insight=insight.kind, applied=published is not None)
    _ask_for_a_round(services, watched.found, opened, since)
    return True


def _applied(session: Session, current: RuntimeConfig, result: Optimization, now: datetime) -> RuntimeConfig | None:
    """The next revision; None where what a person pinned leaves nothing to change."""
    wanted = applying.applied(current, result, live_config.to_ms(now), of_round=False)
    if wanted.global_ == current.global_:
        return None
    return revisions.add(
        session,
        wanted,
        now_ms=live_config.to_ms(now),
        author=revisions.OPTIMIZER,
        reason="; ".join(insight.text for insight in result.insights)[:2000],
        evidence={"between_rounds": True, **result.evidence},
    )


def _is_time(row: Learned, config: RuntimeConfig, now: datetime) -> bool:
    frequency = timedelta(milliseconds=config.global_.update_frequency)
    return row.checked_at is None or now - row.checked_at >= frequency or row.checked_at > now


def _ask_for_a_round(
    services: Services, found: tuple[str, ...], opened: Mapping[Target, Breaker], since: datetime | None
) -> None:
    """Something has changed, it seems: measure everything now rather than in the next slot."""
    news = [(t, b) for t, b in opened.items() if b.opened_at and (since is None or b.opened_at > since)]
    try:
        if found:
            benchmark.request_extra_round(services, "drift", "; ".join(found))
        elif news:
            reasons = "; ".join(f"breaker of {target} opened: {breaker.reason}" for target, breaker in news)
            benchmark.request_extra_round(services, "breaker", reasons)
    except NoTarget as error:
        log.warning("no round out of turn", reason=str(error))

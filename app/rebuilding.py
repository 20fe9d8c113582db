"""The scorecard from what Postgres has recorded: for the day on which what was learned is lost or unreadable."""

from __future__ import annotations

from datetime import timedelta

import structlog
from sqlalchemy.orm import Session

from app.domain.policy import Policy
from app.domain.recorded import FinishedRound
from app.domain.scorecard import Scorecard
from app.store import database, feedback, history

log = structlog.get_logger()

#: calls that a scorecard is rebuilt from, at most; and how far back where there is no round
REBUILD_CALLS = 20_000
NO_ROUNDS = timedelta(days=1)


def rebuilt(session: Session, policy: Policy) -> Scorecard:
    """Learn anew from what is recorded: the latest rounds, the calls since the round before last, and all feedback.

    Older rounds weigh next to nothing by then, and calls before them are overwritten: the scorecard is the former one
    up to rounding, but for the counts, which begin with what was read.
    """
    ends = history.recent_rounds(session, policy.rounds.history)
    since = min(ends, default=database.now(session) - NO_ROUNDS)
    live_since = history.latest_calls_since(session, ends[1] if len(ends) > 1 else since, REBUILD_CALLS)
    card = Scorecard.empty()
    for event in history.events(session, since, live_since):
        if isinstance(event, FinishedRound):
            card = card.close_round(event.outcomes, policy)
        else:
            card = card.observe([event.outcome], policy)
    for said, target in feedback.all_counted(session):
        card = card.hear(target, said.score, said.at, policy)
    if card.evidence:
        log.info("scorecard rebuilt", rounds=len(ends), calls=card.calls, feedback=bool(card.feedback))
    return card

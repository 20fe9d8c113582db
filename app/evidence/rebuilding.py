"""What was learned, from what Postgres has recorded: for the day on which it is lost or unreadable."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy.orm import Session

from app.domain.evidence.scorecard import Scorecard
from app.domain.optimizer import memory as recollection
from app.domain.optimizer.optimizer import OptimizerState
from app.domain.policy import Policy
from app.domain.replay.recorded import FinishedRound
from app.domain.rounds.measurement import own_trouble
from app.store import database, feedback, history, revisions

log = structlog.get_logger()

#: calls that a scorecard is rebuilt from, at most; and how far back where there is no round
REBUILD_CALLS = 20_000
NO_ROUNDS = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    card: Scorecard
    #: what the optimizer remembers of past rounds
    memory: OptimizerState


def rebuilt(session: Session, policy: Policy) -> Rebuilt:
    """Learn anew from what is recorded: the latest rounds, the calls since the round before last, and all feedback.

    Older rounds weigh next to nothing by then, and calls before them are overwritten: the scorecard is the former one
    up to rounding, but for the counts, which begin with what was read. The optimizer's memory has the tables of those
    rounds, of which the older ones know nothing of live calls before them, and what every revision says it did.
    """
    ends = history.recent_rounds(session, policy.rounds.history)
    since = min(ends, default=database.now(session) - NO_ROUNDS)
    live_since = history.latest_calls_since(session, ends[1] if len(ends) > 1 else since, REBUILD_CALLS)
    card, memory = Scorecard.empty(), OptimizerState.empty()
    for event in history.events(session, since, live_since):
        if isinstance(event, FinishedRound):
            if own_trouble(event.outcomes):
                continue
            before, card = card, card.close_round(event.outcomes, policy)
            if event.complete:
                memory = recollection.with_round(memory, before, card, event.outcomes, policy)
        else:
            card = card.observe([event.outcome], policy)
    for given, target in feedback.all_counted(session):
        card = card.with_score(target, given.score, given.at, policy)
    try:
        memory = recollection.with_changes(memory, revisions.changes(session), policy) if ends else memory
    except ValueError as error:  # the scorecard, and the tables, are known all the same
        log.error("what the optimizer did is not readable", reason=str(error))
    if card.evidence:
        log.info(
            "scorecard rebuilt",
            rounds=len(ends),
            calls=card.calls,
            feedback=bool(card.feedback),
            tables=len(memory.tables),
        )
    return Rebuilt(card, memory)


def is_memory(document: object) -> bool:
    try:
        OptimizerState.from_json(document)
    except ValueError:
        return False
    return bool(document)

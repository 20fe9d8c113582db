"""What a judge said of an answer."""

from __future__ import annotations

from sqlalchemy import CursorResult, func, update
from sqlalchemy.orm import Session

from app.domain.rounds.rounds import ProbeKey
from app.store import rollups
from app.store.models import Probe, Round, RoundStatus


def take_for_judging(session: Session, round_id: str) -> bool:
    """True for exactly one caller: a message that comes twice is not paid for twice."""
    closed = Round.status.in_([RoundStatus.DONE, RoundStatus.PARTIAL])
    done = session.execute(
        update(Round).where(Round.id == round_id, Round.judged_at.is_(None), closed).values(judged_at=func.now())
    )
    assert isinstance(done, CursorResult)
    return done.rowcount == 1


def add_verdict(
    session: Session, key: ProbeKey, *, target: str, score: float | None, reason: str, cost_usd: float | None
) -> None:
    """`score`: None where it could not be read; it is paid for all the same."""
    probed_at = session.scalar(
        update(Probe)
        .where(
            Probe.round_id == key.round_id,
            Probe.provider == key.provider,
            Probe.model == key.model,
            Probe.prompt_id == key.prompt_id,
        )
        .values(judge_target=target, judge_score=score, judge_reason=reason, judge_cost_usd=cost_usd)
        .returning(Probe.finished_at)
    )
    if probed_at is not None:
        rollups.mark(session, [probed_at])

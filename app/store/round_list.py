"""Rounds as a list shows them: without a word of the answers, which are most of what a round holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.store.models import Probe, ProbeStatus, Round


@dataclass(frozen=True, slots=True)
class Tally:
    """Of one round's probes."""

    probes: int
    ok: int
    #: mean of what was answered; None: nothing was
    latency_ms: float | None
    quality: float | None
    cost_usd: float | None


def tallies(session: Session, round_ids: Sequence[str]) -> dict[str, Tally]:
    """By round."""
    answered = Probe.status == ProbeStatus.OK
    rows = session.execute(
        select(
            Probe.round_id,
            func.count(),
            func.count().filter(answered),
            func.avg(Probe.latency_ms).filter(answered),
            func.avg(Probe.quality).filter(answered),
            func.sum(func.coalesce(Probe.cost_usd, 0.0) + func.coalesce(Probe.judge_cost_usd, 0.0)),
        )
        .where(Probe.round_id.in_(round_ids))
        .group_by(Probe.round_id)
    )
    return {name: Tally(*figures) for name, *figures in rows}


def latest(session: Session, limit: int) -> list[Round]:
    """The latest rounds in any state, newest first."""
    return list(session.scalars(select(Round).order_by(Round.planned_at.desc(), Round.id.desc()).limit(limit)))

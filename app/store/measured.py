"""What rounds measured and cost, summed up in SQL. Every query is bounded by time and served by an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.orm import Session

from app.domain.catalog import Target
from app.domain.rounds.comparison import Sample
from app.store.models import Probe, ProbeStatus, Round, RoundStatus

#: rounds that measured something; a degraded one is nothing to compare with
_MEASURED = (RoundStatus.DONE, RoundStatus.PARTIAL)
_OK = Probe.status == ProbeStatus.OK


def samples(session: Session, round_id: str) -> list[Sample]:
    """Of one round."""
    return _samples(session, select().where(Probe.round_id == round_id))


def samples_since(session: Session, before: Round, span: timedelta) -> list[Sample]:
    """Of all rounds of `span` before this one."""
    earlier = (
        select()
        .join(Round, Round.id == Probe.round_id)
        .where(
            *_comparable(before),
            Probe.finished_at > before.planned_at - span,
            Probe.provider.in_(select(Probe.provider).where(Probe.round_id == before.id)),
        )
    )
    return _samples(session, earlier)


def round_before(session: Session, this: Round) -> str | None:
    query = select(Round.id).where(*_comparable(this)).order_by(Round.planned_at.desc()).limit(1)
    return session.scalar(query)


def _comparable(this: Round) -> Sequence[ColumnElement[bool]]:
    return (
        Round.planned_at < this.planned_at,
        Round.status.in_(_MEASURED),
        Round.degraded.is_(False),
        Round.simulated.is_(this.simulated),
    )


def _samples(session: Session, which: Select[Any]) -> list[Sample]:
    """Per target and prompt. A failure that is ours is no call of the provider's."""
    positive = {column: case((_OK & (column > 0), func.ln(column))) for column in (Probe.latency_ms, Probe.cost_usd)}
    rows = session.execute(
        which.add_columns(
            Probe.provider,
            Probe.model,
            Probe.prompt_id,
            func.count(),
            func.count().filter(_OK),
            func.avg(positive[Probe.latency_ms]),
            func.avg(positive[Probe.cost_usd]),
            func.avg(Probe.quality).filter(_OK),
        )
        .where(Probe.counts, Probe.finished_at.is_not(None))
        .group_by(Probe.provider, Probe.model, Probe.prompt_id)
    )
    return [Sample(Target(provider, model), *rest) for provider, model, *rest in rows]


def canary_errors(session: Session, round_id: str) -> list[float]:
    query = select(Probe.canary_error_ms).where(Probe.round_id == round_id, Probe.canary_error_ms.is_not(None))
    return [float(error) for error in session.scalars(query) if error is not None]


def expected_costs(session: Session, targets: Sequence[Target], span: timedelta) -> Mapping[tuple[Target, str], float]:
    """Mean USD of each prompt at each target in the last `span`, where it is known."""
    rows = session.execute(
        select(Probe.provider, Probe.model, Probe.prompt_id, func.avg(Probe.cost_usd))
        .where(
            Probe.provider.in_({target.provider for target in targets}),
            Probe.finished_at > func.now() - span,
            Probe.cost_usd.is_not(None),
        )
        .group_by(Probe.provider, Probe.model, Probe.prompt_id)
    )
    return {(Target(provider, model), prompt_id): float(cost) for provider, model, prompt_id, cost in rows}


def spent_usd(session: Session, providers: Sequence[str], span: timedelta, *, simulated: bool) -> float:
    """USD of the last `span`, judges included; of rounds that still run, what they were expected to cost if more."""
    cost = func.coalesce(Probe.cost_usd, 0.0) + func.coalesce(Probe.judge_cost_usd, 0.0)
    final = select(func.coalesce(func.sum(cost), 0.0)).where(
        Probe.provider.in_(providers), Probe.finished_at > func.now() - span, Probe.simulated.is_(simulated)
    )
    open_round = Round.status.in_([RoundStatus.RUNNING, RoundStatus.OPTIMIZING])
    expected = select(func.coalesce(func.sum(Round.estimated_cost_usd), 0.0)).where(
        open_round, Round.simulated.is_(simulated)
    )
    so_far = (
        select(func.coalesce(func.sum(cost), 0.0))
        .join(Round, Round.id == Probe.round_id)
        .where(open_round, Round.simulated.is_(simulated))
    )
    spent, reserved, of_open = (float(session.scalar(query) or 0.0) for query in (final, expected, so_far))
    return spent + max(0.0, reserved - of_open)


def round_usd(session: Session, round_id: str) -> float:
    cost = func.coalesce(Probe.cost_usd, 0.0) + func.coalesce(Probe.judge_cost_usd, 0.0)
    return float(session.scalar(select(func.sum(cost)).where(Probe.round_id == round_id)) or 0.0)


def last_asked(session: Session, limit: int) -> dict[str, datetime]:
    """When each prompt of the latest `limit` rounds was planned last."""
    rows = select(Round.id, Round.planned_at).where(Round.expected_n > 0).order_by(Round.planned_at.desc()).limit(limit)
    latest = rows.subquery()
    asked = select(Probe.prompt_id, func.max(latest.c.planned_at)).join(latest, latest.c.id == Probe.round_id)
    return {row[0]: row[1] for row in session.execute(asked.group_by(Probe.prompt_id))}


def judgeable(session: Session, round_id: str, limit: int) -> list[Probe]:
    """Answers with a grade to hold a verdict against, in an order of the round's own, so that none is favoured."""
    query = select(Probe).where(Probe.round_id == round_id, _OK, Probe.quality.is_not(None), Probe.answer != "")
    return list(session.scalars(query.order_by(func.md5(Probe.prompt_id + Probe.provider + round_id)).limit(limit)))

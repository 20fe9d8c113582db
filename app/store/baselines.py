"""What a comparison with baselines of a short time is made of, from single calls; of longer ones: comparing."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Float, Integer, case, cast, func, literal, select
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql import ColumnElement

from app.domain.evidence.histogram import GROWTH, LAST
from app.domain.policy import Objective
from app.domain.replay.baseline_sums import added
from app.domain.replay.baseline_types import BLOCKS, LiveCell, RoundCell
from app.store.models import DIGESTED, LiveOutcome, Probe, ProbeStatus, Round, Usage

#: rows of outcomes read for one answer; of more a random share of the table's pages
MOST_ROWS = 300_000
#: of that share, so that the same question has the same answer
SEED = 1


def share_read(session: Session, start: datetime, end: datetime) -> float:
    """Of the outcomes: by the requests that the usage counts on those days, and the part of them that is asked for."""
    first, last = start.astimezone(UTC).date(), end.astimezone(UTC).date()
    counted = select(func.coalesce(func.sum(Usage.requests), 0)).where(Usage.day.between(first, last))
    part = (end - start) / timedelta(days=(last - first).days + 1)
    requests = float(session.scalar(counted) or 0) * part
    return min(1.0, MOST_ROWS / requests) if requests else 1.0


def live_cells(
    session: Session, start: datetime, end: datetime, share: float, objective: Objective, *, simulated: bool
) -> list[LiveCell]:
    """First attempts of requests whose first place was drawn."""
    rows: Any = LiveOutcome
    if share < 1:
        rows = aliased(LiveOutcome, LiveOutcome.__table__.tablesample(func.system(100 * share), seed=literal(SEED)))
    block = _block(rows.at, start, (end - start) / BLOCKS)
    place = func.floor(func.ln(func.greatest(rows.latency_ms, 1.0)) / math.log(GROWTH))
    bucket = cast(func.least(place, LAST), Integer)
    cost = case((rows.success, func.coalesce(rows.cost_usd, 0.0)), else_=0.0)
    sums = _sums(rows.latency_ms, cost, rows.success, objective)
    unpriced = func.count().filter(rows.success, rows.cost_usd.is_(None))
    weight = 1.0 / rows.propensity
    query = (
        select(
            *(block, rows.provider, rows.model, bucket, func.count(), func.sum(weight), func.sum(weight * weight)),
            *(func.sum(each) for each in sums),
            *(func.sum(each * weight) for each in sums),
            unpriced,
        )
        .where(rows.at >= start, rows.at < end, rows.attempt == 1, rows.counts, rows.propensity > 0)
        .where(rows.simulated == simulated)
        .group_by(block, rows.provider, rows.model, bucket)
    )
    return _live(session.execute(query))


def _live(rows: Iterable[Any]) -> list[LiveCell]:
    """A row per bucket, as one cell for all buckets."""
    cells: dict[tuple[int, str], list[LiveCell]] = defaultdict(list)
    for block, provider, model, bucket, calls, weight, weight2, *rest in rows:
        target, buckets = f"{provider}/{model}", {bucket: (calls, weight)}
        sums = _five(rest[:5]), _five(rest[5:10])
        cells[block, target].append(LiveCell(block, target, calls, weight, weight2, *sums, buckets, rest[10]))
    return [added(of) for of in cells.values()]


def round_cells(
    session: Session, start: datetime, end: datetime, block: timedelta, objective: Objective, *, simulated: bool
) -> list[RoundCell]:
    """`block`: how long one is."""
    number = _block(Probe.finished_at, start, block)
    ok = Probe.status == ProbeStatus.OK
    cost = case((ok, func.coalesce(Probe.cost_usd, 0.0)), else_=0.0)
    sums = _sums(Probe.latency_ms, cost, ok, objective)
    graded = ok & Probe.quality.is_not(None)
    query = (
        select(
            *(number, Probe.provider, Probe.model, Probe.prompt_id, func.count()),
            *(func.sum(each) for each in sums),
            func.count().filter(graded),
            func.coalesce(func.sum(Probe.quality).filter(graded), 0.0),
            func.count().filter(ok, Probe.cost_usd.is_(None)),
        )
        .join(Round, Round.id == Probe.round_id)
        .where(Round.status.in_(DIGESTED), Round.finished_at >= start, Round.finished_at < end)
        .where(Probe.latency_ms.is_not(None), Probe.finished_at.is_not(None), Probe.counts)
        .where(Probe.simulated == simulated)
        .group_by(number, Probe.provider, Probe.model, Probe.prompt_id)
    )
    return [
        RoundCell(row[0], f"{row[1]}/{row[2]}", row[3], row[4], _five(row[5:10]), row[10], row[11], row[12])
        for row in session.execute(query)
    ]


def _block(at: Any, start: datetime, width: timedelta) -> ColumnElement[int]:
    since_s = func.extract("epoch", at) - start.timestamp()
    return cast(func.floor(cast(since_s, Float) / width.total_seconds()), Integer)


def _sums(latency_ms: Any, cost_usd: Any, ok: Any, objective: Objective) -> list[ColumnElement[float]]:
    return [
        latency_ms,
        func.least(1.0, latency_ms / objective.latency_ref_ms),
        cost_usd,
        func.least(1.0, cost_usd / objective.cost_ref_usd),
        case((ok, 1.0), else_=0.0),
    ]


def _five(values: Sequence[float]) -> tuple[float, float, float, float, float]:
    a, b, c, d, e = (float(value) for value in values)
    return a, b, c, d, e

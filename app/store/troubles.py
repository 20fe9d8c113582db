"""What PostgreSQL knows that may need a person: how the latest round ended, who waits for a worker, our failures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.errors import LocalFailure
from app.store.models import LiveOutcome, Probe, ProbeStatus, Round, RoundStatus

_OVER = (RoundStatus.DONE, RoundStatus.PARTIAL, RoundStatus.FAILED, RoundStatus.SKIPPED)


@dataclass(frozen=True, slots=True)
class Ended:
    """A round that is over."""

    id: str
    status: RoundStatus
    degraded: bool
    at: datetime


def latest_round(session: Session) -> Ended | None:
    query = select(Round).where(Round.status.in_(_OVER)).order_by(Round.planned_at.desc(), Round.id.desc()).limit(1)
    row = session.scalar(query)
    if row is None:
        return None
    return Ended(row.id, RoundStatus(row.status), row.degraded, row.finished_at or row.planned_at)


def idle_since(session: Session) -> datetime | None:
    """When work was last done on a running round whose probes wait and that nobody works on; None: there is none."""
    running = select(Round.id).where(Round.status == RoundStatus.RUNNING)
    waits = func.count().filter(Probe.status == ProbeStatus.PENDING)
    worked_on = func.count().filter(Probe.status == ProbeStatus.RUNNING, Probe.lease_until > func.now())
    last = func.max(func.greatest(Round.planned_at, Probe.claimed_at, Probe.finished_at))
    idle = (
        select(last.label("at"))
        .select_from(Probe)
        .join(Round, Round.id == Probe.round_id)
        .where(Probe.round_id.in_(running))
        .group_by(Probe.round_id)
        .having(waits > 0, worked_on == 0)
        .subquery()
    )
    since: datetime | None = session.scalar(select(func.min(idle.c.at)))
    return since


def local_failures(session: Session, span: timedelta) -> tuple[int, datetime | None]:
    """Calls of the last `span` that failed by our own network or machine: how many, and the first one's time."""
    of_probes = select(Probe.finished_at.label("at")).where(
        Probe.error_class == LocalFailure.code, Probe.finished_at > func.now() - span
    )
    live = select(LiveOutcome.at.label("at")).where(
        LiveOutcome.error_class == LocalFailure.code, LiveOutcome.at > func.now() - span
    )
    both = of_probes.union_all(live).subquery()
    count, first = session.execute(select(func.count(), func.min(both.c.at))).one()
    return count, first


def measurement_error_ms(session: Session) -> float | None:
    """p95 of the latest round that has one."""
    query = select(Round.measurement).where(Round.measurement.is_not(None)).order_by(Round.planned_at.desc()).limit(1)
    found = session.scalar(query)
    return None if found is None else found.get("p95Ms")

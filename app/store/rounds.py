"""Rounds and probes in Postgres. One place moves their states, by guarded UPDATEs: rowcount 0 = someone else has it.

probe  (app.store.claims) pending ──claim──> running ──finish──> ok | error | timeout
round  running ──claims.begin_optimizing──> optimizing ──close──> done | partial | failed
       skip──> skipped
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, and_, cast, exists, func, insert, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session, defer

from app.domain.catalog import Prompt, Target
from app.store import rollups
from app.store.models import Probe, ProbeStatus, Round, RoundStatus

#: error classes of probes that did not run; they make a round partial
NOT_RUN = "not_run"
WORKER_LOST = "worker_lost"


def plan(
    session: Session,
    *,
    now: datetime,
    deadline: timedelta,
    trigger: str,
    slot_start: datetime | None,
    targets: Sequence[Target],
    prompts: Sequence[Prompt],
    simulated: bool,
    simulated_beside: Collection[str] = (),
    left_out: Sequence[Mapping[str, str]] = (),
    notes: Sequence[Mapping[str, Any]] = (),
    estimated_cost_usd: float | None = None,
) -> str | None:
    """Insert a round with all its probes; its id, or None where the slot has its round already.

    `simulated_beside`: providers whose probes are, where the round as a whole is not.
    """
    values = {
        "slot_start": slot_start,
        "trigger": trigger,
        "status": RoundStatus.RUNNING,
        "planned_at": now,
        "deadline_at": now + deadline,
        "expected_n": len(targets) * len(prompts),
        "simulated": simulated,
        "left_out": list(left_out),
        "notes": list(notes),
        "estimated_cost_usd": estimated_cost_usd,
    }
    round_id = _insert_round(session, int(now.timestamp() * 1000), values)
    if round_id is None:
        return None
    of_lab = {target.provider for target in targets} if simulated else set(simulated_beside)
    _insert_probes(session, round_id, targets, prompts, of_lab)
    return round_id


def _insert_probes(
    session: Session, round_id: str, targets: Sequence[Target], prompts: Sequence[Prompt], simulated: Collection[str]
) -> None:
    """All prompts to all targets, in an order of the round's own: no target is always measured first."""
    pairs = [(target, prompt) for target in targets for prompt in prompts]
    random.Random(round_id).shuffle(pairs)
    session.execute(
        insert(Probe),
        [
            {
                "round_id": round_id,
                "provider": target.provider,
                "model": target.model,
                "prompt_id": prompt.id,
                "place": place,
                "task_type": prompt.task_type.value,
                "simulated": target.provider in simulated,
            }
            for place, (target, prompt) in enumerate(pairs)
        ],
    )


def skip(
    session: Session,
    *,
    now: datetime,
    trigger: str,
    slot_start: datetime | None,
    simulated: bool,
    notes: Sequence[Mapping[str, Any]],
) -> str | None:
    """Insert a round that measures nothing: its slot is taken and its reason kept. The id, or None as `plan`."""
    values = {
        "slot_start": slot_start,
        "trigger": trigger,
        "status": RoundStatus.SKIPPED,
        "planned_at": now,
        "deadline_at": now,
        "finished_at": now,
        "expected_n": 0,
        "simulated": simulated,
        "insights": list(notes),
        "notes": list(notes),
    }
    return _insert_round(session, int(now.timestamp() * 1000), values)


def _insert_round(session: Session, epoch_ms: int, values: Mapping[str, Any]) -> str | None:
    slot = values["slot_start"]
    if slot is not None and session.scalar(select(exists().where(Round.slot_start == slot))):
        return None  # the common case, told apart here so that a conflict below can only be the id or a race
    for millisecond in range(epoch_ms, epoch_ms + 100):  # two rounds planned in the same millisecond
        round_id = f"benchmark-{millisecond}"
        done = session.execute(
            upsert(Round).values(id=round_id, **values).on_conflict_do_nothing().returning(Round.id)
        ).scalar_one_or_none()
        if done is not None:
            return round_id
        if slot is not None and session.scalar(select(exists().where(Round.slot_start == slot))):
            return None
    raise RuntimeError("no free round id within 100 ms")


def close(session: Session, round_id: str, status: RoundStatus, insights: Iterable[Mapping[str, Any]]) -> bool:
    """Optimizing → done, partial or failed; the round's notes follow the insights."""
    all_notes = cast(list(insights), JSONB).op("||")(Round.notes)
    done = session.execute(
        update(Round)
        .where(Round.id == round_id, Round.status == RoundStatus.OPTIMIZING)
        .values(status=status, finished_at=func.now(), insights=all_notes)
    )
    rollups.mark_round(session, round_id)
    return _count(done) == 1


def claim_optimizing(session: Session, round_id: str, lease: timedelta) -> int | None:
    """Take the round for `lease` to digest it; the number of this try, or None where there is nothing to do."""
    return session.execute(
        update(Round)
        .where(
            Round.id == round_id,
            Round.status == RoundStatus.OPTIMIZING,
            or_(Round.optimize_lease_until.is_(None), Round.optimize_lease_until < func.now()),
        )
        .values(optimize_attempts=Round.optimize_attempts + 1, optimize_lease_until=func.now() + lease)
        .returning(Round.optimize_attempts)
    ).scalar_one_or_none()


def release_optimizing(session: Session, round_id: str) -> None:
    """End the lease before its time."""
    session.execute(update(Round).where(Round.id == round_id).values(optimize_lease_until=None))


def hold_optimizing(session: Session, round_id: str) -> bool:
    """Lock the round until the transaction ends, should a lease have run out; False where it is digested already."""
    query = select(Round.id).where(Round.id == round_id, Round.status == RoundStatus.OPTIMIZING).with_for_update()
    return session.scalar(query) is not None


def note(
    session: Session,
    round_id: str,
    *,
    notes: Sequence[Mapping[str, Any]],
    measurement: Mapping[str, Any] | None,
    degraded: bool,
) -> None:
    """What the round's own review found; replaces what an earlier try of it wrote."""
    values = {"notes": list(notes), "measurement": None if measurement is None else dict(measurement)}
    session.execute(update(Round).where(Round.id == round_id).values(**values, degraded=degraded))


def open_rounds(session: Session) -> list[str]:
    """Rounds whose probes are not all final, oldest first."""
    return list(session.scalars(select(Round.id).where(Round.status == RoundStatus.RUNNING).order_by(Round.planned_at)))


def give_up_on_lost_probes(session: Session, max_attempts: int) -> int:
    """Probes whose last allowed worker was lost become errors that do not count against the provider."""
    lost = and_(Probe.status == ProbeStatus.RUNNING, Probe.lease_until < func.now(), Probe.attempt >= max_attempts)
    done = session.execute(
        update(Probe)
        .where(_free(lost))
        .values(
            status=ProbeStatus.ERROR,
            error_class=WORKER_LOST,
            error_message="the worker was lost, twice",
            counts=False,
            finished_at=func.now(),
            lease_until=None,
        )
    )
    return _count(done)


def close_overdue(session: Session) -> int:
    """Unfinished probes of rounds past their deadline become final: not run, and not the provider's fault."""
    overdue = select(Round.id).where(Round.status == RoundStatus.RUNNING, Round.deadline_at < func.now())
    done = session.execute(
        update(Probe)
        .where(
            _free(
                and_(
                    Probe.round_id.in_(overdue),
                    or_(
                        Probe.status == ProbeStatus.PENDING,
                        # a probe in flight may still end well; its lease is shorter than anybody's patience
                        and_(Probe.status == ProbeStatus.RUNNING, Probe.lease_until < func.now()),
                    ),
                )
            )
        )
        .values(
            status=ProbeStatus.TIMEOUT,
            error_class=NOT_RUN,
            error_message="the round's deadline passed before this probe was run",
            counts=False,
            finished_at=func.now(),
            lease_until=None,
        )
    )
    return _count(done)


def _free(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Of these probes, those that no other transaction holds: one that is frozen must not hold up the reaper."""
    key = (Probe.round_id, Probe.provider, Probe.model, Probe.prompt_id)
    return tuple_(*key).in_(select(*key).where(condition).with_for_update(skip_locked=True))


def stuck_optimizing(session: Session, patience: timedelta) -> list[str]:
    """Rounds that wait for the optimizer longer than `patience` since its last message; marks them as sent again."""
    stuck = update(Round).where(*_stuck(patience)).values(optimize_sent_at=func.now())
    return list(session.scalars(stuck.returning(Round.id)))


def has_stuck_optimizing(session: Session, patience: timedelta) -> bool:
    return bool(session.scalar(select(exists().where(*_stuck(patience)))))


def _stuck(patience: timedelta) -> tuple[ColumnElement[bool], ...]:
    return (
        Round.status == RoundStatus.OPTIMIZING,
        or_(Round.optimize_sent_at.is_(None), Round.optimize_sent_at < func.now() - patience),
        or_(Round.optimize_lease_until.is_(None), Round.optimize_lease_until < func.now()),
    )


def get(session: Session, round_id: str) -> Round | None:
    return session.get(Round, round_id)


#: what is long in a probe
_ANSWERS = (Probe.answer, Probe.grade_reasons, Probe.judge_reason, Probe.error_message)


def probes(session: Session, round_ids: Sequence[str], *, with_answers: bool = True) -> list[Probe]:
    """All probes of these rounds, in the order of providers and prompts."""
    query = select(Probe).where(Probe.round_id.in_(round_ids))
    if not with_answers:
        query = query.options(*(defer(column, raiseload=True) for column in _ANSWERS))
    return list(session.scalars(query.order_by(Probe.round_id, Probe.provider, Probe.model, Probe.prompt_id)))


def finished(session: Session, limit: int) -> list[Round]:
    """The latest finished rounds, newest first."""
    final = [RoundStatus.DONE, RoundStatus.PARTIAL, RoundStatus.FAILED]
    return list(
        session.scalars(
            select(Round).where(Round.status.in_(final)).order_by(Round.planned_at.desc(), Round.id.desc()).limit(limit)
        )
    )


def with_insights(session: Session, limit: int) -> list[Round]:
    """The latest rounds that have something to say: finished or skipped, newest first."""
    final = [RoundStatus.DONE, RoundStatus.PARTIAL, RoundStatus.FAILED, RoundStatus.SKIPPED]
    return list(
        session.scalars(
            select(Round).where(Round.status.in_(final)).order_by(Round.planned_at.desc(), Round.id.desc()).limit(limit)
        )
    )


def count_finished(session: Session) -> int:
    final = [RoundStatus.DONE, RoundStatus.PARTIAL, RoundStatus.FAILED]
    return session.scalar(select(func.count()).select_from(Round).where(Round.status.in_(final))) or 0


def progress(session: Session, round_id: str) -> dict[str, dict[str, int]]:
    """Probes by provider and status."""
    rows = session.execute(
        select(Probe.provider, Probe.status, func.count())
        .where(Probe.round_id == round_id)
        .group_by(Probe.provider, Probe.status)
    )
    table: dict[str, dict[str, int]] = {}
    for provider, status, count in rows:
        table.setdefault(provider, {})[status] = count
    return table


def lock_planning(session: Session) -> None:
    """Until the transaction ends nobody else plans: what a budget and a cooldown look at stays as it is."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext("plan a round"))))


def has_slot(session: Session, slot_start: datetime) -> bool:
    return bool(session.scalar(select(exists().where(Round.slot_start == slot_start))))


def out_of_turn_since(session: Session, asked_for: Sequence[str], cooldown: timedelta) -> str | None:
    """The latest round within `cooldown` that was started out of turn (`asked_for`: the triggers that are not)."""
    query = select(Round.id).where(Round.trigger.not_in(asked_for), Round.planned_at > func.now() - cooldown)
    return session.scalar(query.order_by(Round.planned_at.desc()).limit(1))


#: rounds that are looked at for one with results
LATEST = 100


def latest_result(session: Session) -> datetime | None:
    """When the last round ended that measured something; None: none of the latest has.

    One that was planned and that nobody worked on measured nothing, and is no sign of life.
    """
    latest = select(Round.id, Round.finished_at).order_by(Round.planned_at.desc()).limit(LATEST).subquery()
    measured = exists().where(Probe.round_id == latest.c.id, Probe.latency_ms.is_not(None))
    found: datetime | None = session.scalar(select(func.max(latest.c.finished_at)).where(measured))
    return found


def first_start(session: Session) -> datetime | None:
    """When the oldest round that is kept was planned."""
    return session.scalar(select(func.min(Round.planned_at)))


def current_slot(session: Session, interval: timedelta) -> datetime:
    """Start of the slot that is now, by the database's clock; slots are aligned to the epoch, in UTC."""
    epoch = func.to_timestamp(0)
    return session.scalar(select(func.date_bin(interval, func.now(), epoch)))  # type: ignore[return-value]  # never NULL


def _count(result: Any) -> int:
    assert isinstance(result, CursorResult)
    return result.rowcount

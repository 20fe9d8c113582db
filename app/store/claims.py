"""Claiming and finishing probes: what every probe asks of Postgres, and nothing else moves their states but the reaper.

The statements are built once. Building one with SQLAlchemy costs more than Postgres takes to run it, and with hundreds
of probes per second the difference was a whole core.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Interval, Table, and_, bindparam, exists, func, or_, select, update
from sqlalchemy.orm import Session

from app.domain.rounds import ProbeKey
from app.models import Probe, ProbeStatus, Round, RoundStatus


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What finishing a probe writes; the names are the columns'."""

    status: ProbeStatus
    latency_ms: float | None = None
    ttft_ms: float | None = None
    connect_ms: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    tokens_estimated: bool = False
    cost_usd: float | None = None
    quality: float | None = None
    grade_reasons: Sequence[str] = ()
    answer: str | None = None
    answered_model: str | None = None
    error_class: str | None = None
    error_message: str | None = None
    counts: bool = True


# tables, not classes: an UPDATE of a class would look for objects in the session that it changes
_PROBES, _ROUNDS = cast(Table, Probe.__table__), cast(Table, Round.__table__)
_P, _R = _PROBES.c, _ROUNDS.c
_KEY = (_P.round_id, _P.provider, _P.model, _P.prompt_id)

_IS_KEY = and_(
    _P.round_id == bindparam("of_round"),
    _P.provider == bindparam("of_provider"),
    _P.model == bindparam("of_model"),
    _P.prompt_id == bindparam("of_prompt"),
)
_CLAIMABLE = and_(
    _P.attempt < bindparam("max_attempts"),
    or_(
        _P.status == ProbeStatus.PENDING,
        and_(_P.status == ProbeStatus.RUNNING, _P.lease_until < func.now()),
    ),
)
_LOCK = select(func.pg_advisory_xact_lock(func.hashtext(bindparam("name"))))
_IN_FLIGHT = (
    select(func.count())
    .select_from(_PROBES)
    .where(
        _P.provider == bindparam("of_provider"),
        _P.status == ProbeStatus.RUNNING,
        _P.lease_until > func.now(),
        _P.answered_at.is_(None),
    )
)
_TAKE = (
    update(_PROBES)
    .where(
        _IS_KEY,
        _CLAIMABLE,
        exists().where(_R.id == bindparam("of_round"), _R.status == RoundStatus.RUNNING),
    )
    .values(
        status=ProbeStatus.RUNNING,
        attempt=_P.attempt + 1,
        claimed_at=func.now(),
        answered_at=None,
        lease_until=func.now() + bindparam("lease", type_=Interval()),
        queue_delay_ms=select(func.extract("epoch", func.now() - _R.planned_at) * 1000)
        .where(_R.id == bindparam("of_round"))
        .scalar_subquery(),
    )
    .returning(_P.attempt)
)
_IS_MINE = and_(_IS_KEY, _P.attempt == bindparam("mine"))
_FINISH = (
    update(_PROBES)
    .where(_IS_MINE, _P.status == ProbeStatus.RUNNING)
    .values(
        {each.name: bindparam(f"new_{each.name}") for each in fields(ProbeResult)}
        | {"finished_at": func.now(), "lease_until": None}
    )
)
_ANSWERED = update(_PROBES).where(_IS_MINE, _P.status == ProbeStatus.RUNNING).values(answered_at=func.now())
_ADD_CANARY = update(_PROBES).where(_IS_MINE).values(canary_error_ms=bindparam("error_ms"))
_WAITING = select(*_KEY).where(_P.round_id == bindparam("of_round"), _CLAIMABLE).order_by(_P.place)
_NEXT = (
    select(*_KEY)
    .join(_ROUNDS, _R.id == _P.round_id)
    .where(_P.provider == bindparam("of_provider"), _R.status == RoundStatus.RUNNING, _CLAIMABLE)
    .order_by(_P.round_id, _P.place)  # ids of rounds sort by age
    .limit(1)
)
_BEGIN = (
    update(_ROUNDS)
    .where(
        _R.id == bindparam("of_round"),
        _R.status == RoundStatus.RUNNING,
        ~exists().where(
            _P.round_id == bindparam("of_round"), _P.status.in_([ProbeStatus.PENDING, ProbeStatus.RUNNING])
        ),
    )
    .values(status=RoundStatus.OPTIMIZING, optimize_sent_at=func.now())
)


def _of(key: ProbeKey) -> dict[str, Any]:
    return {
        "of_round": key.round_id,
        "of_provider": key.provider,
        "of_model": key.model,
        "of_prompt": key.prompt_id,
    }


def claim(
    session: Session, hint: ProbeKey, *, lease: timedelta, concurrency: int, max_attempts: int
) -> tuple[ProbeKey, int] | None:
    """Take a probe for `lease`: the one hinted at, or the next of its provider where that one is taken.

    The key with its attempt number (the fencing token); None where nothing waits, or the provider has `concurrency`
    probes in flight, over all workers together. The advisory lock makes counting and claiming one step.
    """
    session.execute(_LOCK, {"name": f"probe:{hint.provider}"})
    in_flight = session.execute(_IN_FLIGHT, {"of_provider": hint.provider}).scalar_one()
    if in_flight >= concurrency:
        return None
    attempt = _take(session, hint, lease, max_attempts)
    if attempt is not None:
        return hint, attempt
    key = next_waiting(session, hint.provider, max_attempts)
    attempt = None if key is None else _take(session, key, lease, max_attempts)
    return None if key is None or attempt is None else (key, attempt)


def _take(session: Session, key: ProbeKey, lease: timedelta, max_attempts: int) -> int | None:
    values = {**_of(key), "lease": lease, "max_attempts": max_attempts}
    return session.execute(_TAKE, values).scalar_one_or_none()


def finish(session: Session, key: ProbeKey, attempt: int, result: ProbeResult) -> bool:
    """Write a result, fenced: False where a later attempt has the row, or it is final already."""
    values = asdict(result) | {"grade_reasons": list(result.grade_reasons)}
    new = {f"new_{name}": value for name, value in values.items()}
    return _count(session.execute(_FINISH, {**_of(key), "mine": attempt, **new})) == 1


def answered(session: Session, key: ProbeKey, attempt: int) -> None:
    """The call is over: its place at the provider is free before its result is written."""
    session.execute(_ANSWERED, {**_of(key), "mine": attempt})


def add_canary(session: Session, key: ProbeKey, attempt: int, error_ms: float) -> None:
    """The canary call that the worker of this attempt made after it."""
    session.execute(_ADD_CANARY, {**_of(key), "mine": attempt, "error_ms": error_ms})


def waiting(session: Session, round_id: str, max_attempts: int) -> list[ProbeKey]:
    """Probes of a round that somebody could claim now: pending, or with a lease that ran out."""
    rows = session.execute(_WAITING, {"of_round": round_id, "max_attempts": max_attempts})
    return [ProbeKey(*row) for row in rows]


def next_waiting(session: Session, provider: str, max_attempts: int) -> ProbeKey | None:
    """The probe of a provider whose turn it is, over all open rounds, the oldest round first."""
    row = session.execute(_NEXT, {"of_provider": provider, "max_attempts": max_attempts}).one_or_none()
    return None if row is None else ProbeKey(*row)


def begin_optimizing(session: Session, round_id: str) -> bool:
    """The guarded UPDATE that picks exactly one finisher.

    Call it in a new transaction after the own result is committed: two last probes that check before they commit
    would each miss the other's.
    """
    return _count(session.execute(_BEGIN, {"of_round": round_id})) == 1


def _count(result: Any) -> int:
    assert isinstance(result, CursorResult)
    return result.rowcount

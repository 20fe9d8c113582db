"""Claiming and finishing probes: what every probe asks of Postgres, and nothing else moves their states but the reaper.

SQL by hand, sent as it stands: building and compiling a statement costs more than Postgres takes to run it, and with
hundreds of probes per second the difference was a whole core.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from typing import Any

from sqlalchemy import CursorResult, Row
from sqlalchemy.orm import Session

from app.domain.rounds.rounds import ProbeKey
from app.store.models import ProbeStatus


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
    canary_error_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """What may be taken at a provider: a probe for `lease`, while fewer than `concurrency` are in flight."""

    provider: str
    #: calls at once, over all workers together
    concurrency: int
    #: of the call; the lease outlasts it
    timeout_ms: int
    lease: timedelta
    #: claims of one probe
    max_attempts: int


@dataclass(frozen=True, slots=True)
class Claimed:
    key: ProbeKey
    #: the fencing token of its result
    attempt: int


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a result, and what comes next."""

    #: False: a later attempt has the row, or it is final already
    written: bool
    #: claimed in the same transaction
    following: Claimed | None = None
    #: for somebody else to claim
    waits: ProbeKey | None = None


_CLAIMABLE = """p.attempt < %(max_attempts)s
    AND (p.status = 'pending' OR p.status = 'running' AND p.lease_until < now())"""
_IS_KEY = """p.round_id = %(round_id)s AND p.provider = %(provider)s
    AND p.model = %(model)s AND p.prompt_id = %(prompt_id)s"""
_KEYS = "SELECT p.round_id, p.provider, p.model, p.prompt_id"
_OF_OPEN_ROUNDS = "FROM probes p JOIN rounds r ON r.id = p.round_id AND r.status = 'running'"
_WAITING = f"{_KEYS} FROM probes p WHERE p.round_id = %(round_id)s AND {_CLAIMABLE} ORDER BY p.place"
#: ids of rounds sort by age
_IN_TURN = f"""{_OF_OPEN_ROUNDS} WHERE p.provider = %(provider)s AND {_CLAIMABLE}
ORDER BY p.round_id, p.place LIMIT 1"""
_NEXT = f"{_KEYS} {_IN_TURN}"
#: rows that the reaper holds are left to it: who waits for nobody is in no deadlock
_NEXT_ROW = f"(SELECT p.ctid {_IN_TURN} FOR UPDATE OF p SKIP LOCKED)"
_HINTED_ROW = f"(SELECT p.ctid {_OF_OPEN_ROUNDS} WHERE {_IS_KEY} AND {_CLAIMABLE} FOR UPDATE OF p SKIP LOCKED)"
#: a statement of its own, so that the next one sees what the holder before has done: counting and claiming are one step
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('probe:' || %(provider)s));"
_TAKE = """
UPDATE probes p SET
    status = 'running', attempt = p.attempt + 1, claimed_at = now(), answered_at = NULL,
    lease_until = clock_timestamp() + %(lease)s, queue_delay_ms = extract(epoch FROM now() - r.planned_at) * 1000
FROM rounds r
WHERE r.id = p.round_id AND p.ctid = {}
    AND %(concurrency)s > (
        SELECT count(*) FROM probes
        WHERE provider = %(provider)s AND status = 'running' AND lease_until > now() AND answered_at IS NULL)
RETURNING p.round_id, p.provider, p.model, p.prompt_id, p.attempt"""
_TAKE_NEXT = _LOCK + _TAKE.format(_NEXT_ROW)
_TAKE_HINTED = _LOCK + _TAKE.format(f"coalesce({_HINTED_ROW}, {_NEXT_ROW})")
_IS_MINE = f"{_IS_KEY} AND p.attempt = %(mine)s AND p.status = 'running'"
_COLUMNS = tuple(each.name for each in fields(ProbeResult))
_RESULT = ", ".join(f"{name} = %({name})s" for name in _COLUMNS)
#: the lock comes first, as in a claim: the two orders would wait for each other
_FINISH = f"{_LOCK} UPDATE probes p SET {_RESULT}, finished_at = now(), lease_until = NULL WHERE {_IS_MINE}"
#: the lease begins anew, and a minute longer: graders have their own limits
_ANSWERED = f"""
UPDATE probes p SET answered_at = now(), lease_until = clock_timestamp() + %(lease)s + interval '60 seconds'
WHERE {_IS_MINE}"""
#: the two rows of one transaction have the same time
_FINISHED_BEFORE = f"""
SELECT n.round_id, n.provider, n.model, n.prompt_id, n.attempt
FROM probes p LEFT JOIN probes n
    ON n.provider = p.provider AND n.status = 'running' AND n.claimed_at = p.finished_at
WHERE {_IS_KEY} AND p.attempt = %(mine)s AND p.status NOT IN ('pending', 'running')"""
_BEGIN = """
UPDATE rounds SET status = 'optimizing', optimize_sent_at = now()
WHERE id = %(round_id)s AND status = 'running' AND NOT EXISTS (
    SELECT FROM probes WHERE round_id = %(round_id)s AND status IN ('pending', 'running'))"""


def claim(session: Session, place: Place, hint: ProbeKey | None = None) -> Claimed | None:
    """Take a probe of the provider: the one hinted at, or else the one whose turn it is.

    None where nothing waits, or the provider is busy.
    """
    values = {**asdict(place), **({} if hint is None else asdict(hint))}
    row = _execute(session, _TAKE_NEXT if hint is None else _TAKE_HINTED, values).one_or_none()
    return None if row is None else Claimed(_key(row), row.attempt)


def finish(session: Session, claimed: Claimed, result: ProbeResult) -> bool:
    """Write a result, fenced: False where a later attempt has the row, or it is final already."""
    reasons = json.dumps(list(result.grade_reasons))
    values = {name: getattr(result, name) for name in _COLUMNS}  # not asdict, which copies in depth
    values |= {"status": result.status.value, "grade_reasons": reasons}
    return _execute(session, _FINISH, values | _of(claimed)).rowcount == 1


def finished_before(session: Session, claimed: Claimed, place: Place) -> Finished | None:
    """What an earlier try to finish has done, whose end was not heard of; None: nothing."""
    row = _execute(session, _FINISHED_BEFORE, _of(claimed)).one_or_none()
    if row is None:
        return None
    if row.attempt is None:
        return Finished(True, waits=next_waiting(session, place))
    return Finished(True, following=Claimed(_key(row), row.attempt))


def answered(session: Session, claimed: Claimed, place: Place) -> None:
    """The call is over: its place at the provider is free before its result is written."""
    _execute(session, _ANSWERED, {**_of(claimed), "lease": place.lease})


def waiting(session: Session, round_id: str, max_attempts: int) -> list[ProbeKey]:
    """Probes of a round that somebody could claim now: pending, or with a lease that ran out."""
    rows = _execute(session, _WAITING, {"round_id": round_id, "max_attempts": max_attempts})
    return [_key(row) for row in rows]


def next_waiting(session: Session, place: Place) -> ProbeKey | None:
    """The probe of a provider whose turn it is, over all open rounds, the oldest round first."""
    row = _execute(session, _NEXT, asdict(place)).one_or_none()
    return None if row is None else _key(row)


def begin_optimizing(session: Session, round_id: str) -> bool:
    """The guarded UPDATE that picks exactly one finisher.

    Call it in a new transaction after the own result is committed: two last probes that check before they commit
    would each miss the other's.
    """
    return _execute(session, _BEGIN, {"round_id": round_id}).rowcount == 1


def _key(row: Row[Any]) -> ProbeKey:
    return ProbeKey(row.round_id, row.provider, row.model, row.prompt_id)


def _of(claimed: Claimed) -> dict[str, Any]:
    return {**asdict(claimed.key), "mine": claimed.attempt}


def _execute(session: Session, sql: str, values: Mapping[str, Any]) -> CursorResult[Any]:
    return session.connection().exec_driver_sql(sql, dict(values))

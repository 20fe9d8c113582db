"""Moves the Redis stream of live outcomes into Postgres and the scorecard, each entry once.

The row `learned` remembers the last entry it contains, in the same transaction as the outcomes themselves, so that an
entry counts once however often it is delivered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis
import structlog
from sqlalchemy.orm import Session

from app.domain.catalog import Target, TaskType
from app.domain.evidence.drift import Watched
from app.domain.evidence.scorecard import Scorecard
from app.domain.evidence.spending import Payment
from app.domain.outcome import Outcome, Source
from app.domain.policy import Policy
from app.errors import DependencyUnavailable
from app.evidence import entries
from app.evidence.recorder import BATCH, OUTCOME, REQUEST, STREAM, TURN
from app.evidence.scorecard import _text, held_or_rebuilt, hold, publish
from app.services import Services
from app.store import breaker_turns, database, feedback, outcomes, requests

log = structlog.get_logger()

#: of an entry, as they came: app.evidence.entries reads them
Fields = Mapping[str, bytes | str]

#: a hash that tells every process how ingest does: `at` (epoch ms of its last end), `dropped:REASON` (rows)
PULSE = "tooloo:ingest"
DROPPED = "dropped:"
#: what a request asked for that left the choice to us, before a colon and a task type
AUTO = "auto"
#: why a row is dropped: a field has the wrong type or lies out of its range; PostgreSQL refuses it all the same
NOT_READABLE, NOT_STORABLE = "not_readable", "not_storable"


@dataclass(frozen=True, slots=True)
class Pulse:
    """How ingest does, as Redis knows."""

    #: s since it last came to an end; None: never, or Redis was emptied
    age_s: float | None
    #: s that the oldest entry has waited; None: none waits
    oldest_s: float | None
    waiting: int
    #: rows that did not go in, by reason, since Redis was emptied
    dropped_by: Mapping[str, int]

    @property
    def dropped(self) -> int:
        return sum(self.dropped_by.values())


def ingest(services: Services) -> int:
    """Move what is in the stream into Postgres and the scorecard; the number of outcomes ingested."""
    ingested = 0
    while True:
        count = _ingest_batch(services)
        ingested += count
        if count < BATCH:
            break
    _tell(services.redis, {})
    return ingested


def pulse(connection: redis.Redis, after: str) -> Pulse:
    """`after`: the last entry that Postgres has. By the clock of Redis; raises redis.RedisError."""
    told: Any = connection.hgetall(PULSE)
    fields = {_text(name): _text(value) for name, value in told.items()}
    seconds, micros = connection.time()
    now_ms = seconds * 1000 + micros / 1000
    first: Any = connection.xrange(STREAM, min=f"({after}", count=1)
    oldest_ms = int(_text(first[0][0]).partition("-")[0]) if first else None
    return Pulse(
        age_s=(now_ms - float(fields["at"])) / 1000 if "at" in fields else None,
        oldest_s=None if oldest_ms is None else (now_ms - oldest_ms) / 1000,
        waiting=max(0, int(connection.xlen(STREAM)) - 1) if first else 0,
        dropped_by={reason: int(fields.get(f"{DROPPED}{reason}", 0)) for reason in (NOT_READABLE, NOT_STORABLE)},
    )


def _tell(connection: redis.Redis, dropped: Mapping[str, int]) -> None:
    try:
        seconds, micros = connection.time()
        connection.hset(PULSE, "at", str(seconds * 1000 + micros // 1000))
        for reason, count in dropped.items():
            if count:
                connection.hincrby(PULSE, f"{DROPPED}{reason}", count)
    except redis.RedisError as error:
        log.warning("how ingest does is not told", reason=str(error))


def _ingest_batch(services: Services) -> int:
    policy = services.policy
    with database.transaction(services.sessions) as session:
        row = outcomes.learned(session)
        batch = _read(services.redis, row.stream_id)
        scores = feedback.waiting(session)
        if not batch and not scores:
            return 0
        card = held_or_rebuilt(session, row, policy)  # before the rows are in, so that they count once
        stored, requested, dropped = _stored(session, [fields for _, fields in batch])
        ingested = [_outcome(each) for each in stored]
        card = card.paid(_payments(requested, card, policy), policy).observe(ingested, policy)
        card = _with_feedback(card, scores, policy)
        feedback.counted(session, [each.feedback.request_id for each in scores])
        if services.config.value.learns_continuously:
            row.drift = Watched.from_json(row.drift).after(ingested, policy.drift).to_json()
        row.stream_id = batch[-1][0] if batch else row.stream_id
        hold(row, card, database.now(session))
        generation, stream_id = row.generation, row.stream_id
    publish(services.redis, generation, card)
    if batch:
        _trim(services.redis, stream_id)
    if any(dropped.values()):
        _tell(services.redis, dropped)
    return len(batch)


def _stored(
    session: Session, found: Sequence[Fields]
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]], dict[str, int]]:
    """The outcomes and requests that are in Postgres then; how many rows were dropped, by reason. Each stands alone."""
    now = database.now(session)
    read = [entries.outcome(fields[OUTCOME], now) for fields in found if OUTCOME in fields]
    logged = [entries.request(fields[REQUEST], now) for fields in found if REQUEST in fields]
    turned = [entries.turn(fields[TURN], now) for fields in found if TURN in fields]
    rows, requested = [row for row in read if row is not None], [row for row in logged if row is not None]
    turns = [row for row in turned if row is not None]
    stored = outcomes.record(session, rows)
    kept = requests.store(session, requested)
    kept_turns = breaker_turns.record(session, turns)
    none = sum(fields.keys().isdisjoint((OUTCOME, REQUEST, TURN)) for fields in found)
    unread = [len(read) - len(rows), len(logged) - len(requested), len(turned) - len(turns)]
    unstored = [len(rows) - len(stored), len(requested) - len(kept), len(turns) - len(kept_turns)]
    dropped = {
        NOT_READABLE: none + sum(unread),
        NOT_STORABLE: sum(unstored),
    }
    return stored, kept, dropped


def _payments(requested: Sequence[Mapping[str, Any]], card: Scorecard, policy: Policy) -> list[Payment]:
    """Of requests that were routed, with all their calls; who names a provider or a model has chosen its price."""
    routed = [row for row in requested if row["asked"].partition(":")[0] == AUTO and row["cost_usd"] is not None]
    served = [(row, Target(row["provider"], row["model"]) if row["provider"] else None) for row in routed]
    return [card.payment(row["at"], TaskType(row["task_type"]), row["cost_usd"], by, policy) for row, by in served]


def _with_feedback(card: Scorecard, scores: Sequence[feedback.Score], policy: Policy) -> Scorecard:
    for each, target in scores:
        card = card.with_score(target, each.score, each.at, policy, was=each.counted_score)
    return card


def _read(connection: redis.Redis, after: str) -> list[tuple[str, Fields]]:
    try:
        batch: Any = connection.xrange(STREAM, min=f"({after}", count=BATCH)
    except redis.RedisError as error:
        raise DependencyUnavailable(f"Redis is not reachable: {error}") from error
    return [(_text(entry_id), {_name(key): value for key, value in fields.items()}) for entry_id, fields in batch]


def _name(key: bytes | str) -> str:
    """Of a field; what is no text is the name of none of ours."""
    return key if isinstance(key, str) else key.decode(errors="replace")


def _outcome(row: Mapping[str, Any]) -> Outcome:
    return Outcome(
        target=Target(row["provider"], row["model"]),
        source=Source.LIVE,
        at=row["at"],
        success=row["success"],
        latency_ms=row["latency_ms"],
        task_type=TaskType(row["task_type"]),
        ttft_ms=row["ttft_ms"],
        connect_ms=row["connect_ms"],
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"],
        cost_usd=row["cost_usd"],
        error_class=row["error_class"],
        counts=row["counts"],
        simulated=row["simulated"],
    )


def _trim(connection: redis.Redis, up_to: str) -> None:
    try:
        connection.xtrim(STREAM, minid=up_to, approximate=False)
    except redis.RedisError as error:
        log.warning("outcome stream not trimmed", reason=str(error))

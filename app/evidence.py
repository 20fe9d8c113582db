"""The one evidence store: live outcomes come in by a Redis stream, rounds by the optimizer; scorecards go out.

    gateway → Recorder (bounded buffer) → Redis stream → ingest → Postgres + scorecard → every process

Postgres holds the truth. The row `learned` remembers the last stream entry it contains, in the same transaction as
the outcomes themselves, so that an entry counts once however often it is delivered.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import redis
import structlog
from sqlalchemy.orm import Session

from app import published, rebuilding, request_log
from app.domain.catalog import Target, TaskType
from app.domain.drift import Watched
from app.domain.outcome import Outcome, Source
from app.domain.policy import Policy
from app.domain.scorecard import Scorecard
from app.errors import DependencyUnavailable
from app.models import Learned
from app.published import Published
from app.rebuilding import Rebuilt
from app.services import Services
from app.store import database, feedback, history, outcomes
from app.store.database import Sessions

log = structlog.get_logger()

NAME = "scorecard"
STREAM = "tooloo:outcomes"
#: fields of its entries
OUTCOME, REQUEST = "outcome", "request"
#: entries per transaction
BATCH = 1000
#: the buffer is emptied this often
FLUSH_S = 0.2


def live(sessions: Sessions) -> Published[Scorecard]:
    """The scorecard as this process sees it; empty until it is first refreshed."""

    def durable() -> tuple[int, str] | None:
        with database.transaction(sessions) as session:
            row = outcomes.peek(session)
            return None if row is None else (row.generation, json.dumps(row.scorecard))

    return Published(NAME, Scorecard.empty(), parse=parse, durable=durable)


def parse(body: str) -> Scorecard:
    """Raises ValueError for what is not a scorecard."""
    document = json.loads(body)
    return Scorecard.from_json(document) if document else Scorecard.empty()


def publish(connection: redis.Redis, generation: int, card: Scorecard) -> None:
    """Best effort: what Redis misses now, the reaper brings within a minute."""
    try:
        published.publish(connection, NAME, generation, json.dumps(card.to_json(), separators=(",", ":")))
    except redis.RedisError as error:
        log.warning("scorecard not published, the reaper will", generation=generation, reason=str(error))


def held(row: Learned) -> Scorecard:
    """The scorecard in the row; an unreadable one is reported, and learned anew from here on."""
    try:
        return Scorecard.from_json(row.scorecard) if row.scorecard else Scorecard.empty()
    except ValueError as error:
        log.error("scorecard in postgres not readable, starting from none", reason=str(error))
        return Scorecard.empty()


def held_or_rebuilt(session: Session, row: Learned, policy: Policy) -> Scorecard:
    """The scorecard in the locked row; where there is none, or an unreadable one, what is recorded.

    Then the row also gets what the optimizer remembered, unless that can still be read.
    """
    card = held(row)
    if card.evidence:
        return card
    try:
        found = rebuilding.rebuilt(session, policy)
    except ValueError as error:  # rows of another release, say: what comes from now on must count all the same
        log.error("scorecard not rebuilt, starting from none", reason=str(error))
        return card
    _remember(row, found)
    return found.card


def _remember(row: Learned, found: Rebuilt) -> None:
    if found.card.evidence and not rebuilding.is_memory(row.optimizer):
        row.optimizer = found.memory.to_json()


def rebuild(services: Services, *, memory_too: bool = True) -> Scorecard:
    """Replace what was learned by what is recorded, and publish it; ValueError for rows that say nothing we know.

    `memory_too`: also what the optimizer remembers, though it can be read.
    """
    with database.transaction(services.sessions) as session:
        row = outcomes.learned(session)
        found = rebuilding.rebuilt(session, services.policy)
        if memory_too:
            row.optimizer = {}
        _remember(row, found)
        hold(row, found.card, database.now(session))
        generation = row.generation
    publish(services.redis, generation, found.card)
    return found.card


def hold(row: Learned, card: Scorecard, now: datetime) -> None:
    """Put a new scorecard into the locked row."""
    row.scorecard = card.to_json()
    row.generation += 1
    row.updated_at = now


def recover(services: Services) -> None:
    """Bring the published scorecard up to what Postgres holds.

    Where Redis counts higher (Postgres came back from a backup, or is a new one), Postgres still has the truth: it is
    numbered past Redis, as nobody would take it over else.
    """
    told = _published_generation(services.redis)
    with database.transaction(services.sessions) as session:
        row = outcomes.peek(session)
        found = None if row is None else (row.generation, held(row))
    if found is None or not found[1].evidence:
        with database.transaction(services.sessions) as session:
            recorded = bool(history.recent_rounds(session, 1))
        if recorded and _rebuilds(services):
            return
    if found is not None and told > found[0]:
        log.warning("scorecard in redis is ahead of postgres, replaced", redis=told, postgres=found[0])
        found = _numbered_past(services.sessions, told)
    if found is not None:
        publish(services.redis, *found)


def _rebuilds(services: Services) -> bool:
    try:
        rebuild(services, memory_too=False)
    except ValueError as error:
        log.error("scorecard not rebuilt", reason=str(error))
        return False
    return True


def _published_generation(connection: redis.Redis) -> int:
    try:
        found = published.read(connection, NAME)
    except (redis.RedisError, ValueError) as error:
        log.warning("scorecard in redis not readable", reason=str(error))
        return -1
    return -1 if found is None else found[0]


def _numbered_past(sessions: Sessions, generation: int) -> tuple[int, Scorecard]:
    with database.transaction(sessions) as session:
        row = outcomes.learned(session)
        row.generation = max(row.generation, generation) + 1
        return row.generation, held(row)


#: `outcome`: the columns of the outcomes table; `request`: those of the request log (app.request_log), or what
#: gives them. Times are ISO text.
Entry = Mapping[str, Mapping[str, Any] | Callable[[], Mapping[str, Any]]]


class Recorder:
    """Takes live outcomes off the request path: a bounded buffer, emptied to Redis by a thread.

    A full buffer drops the newest and counts it: a request never waits for Redis.
    """

    def __init__(self, connection: redis.Redis, *, size: int, stream_size: int) -> None:
        self._connection = connection
        self._size = size
        self._stream_size = stream_size
        self._buffer: deque[Entry] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        #: entries lost to a full buffer since the process started
        self.dropped = 0

    def start(self) -> None:
        self._thread.start()

    def add(self, entry: Entry) -> bool:
        """False where it had to be dropped. See Entry; what is callable is called later, in the recorder's thread."""
        if len(self._buffer) >= self._size:
            self.dropped += 1
            return False
        self._buffer.append(entry)
        return True

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_S):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        while self._buffer:
            batch = [self._buffer[i] for i in range(min(len(self._buffer), BATCH))]
            try:
                pipeline = self._connection.pipeline(transaction=False)
                for entry in batch:
                    pipeline.xadd(STREAM, _written(entry), maxlen=self._stream_size, approximate=True)
                pipeline.execute()
            except redis.RedisError as error:
                log.warning("outcomes wait for redis", waiting=len(self._buffer), reason=str(error))
                self._stop.wait(1.0)
                return
            for _ in batch:
                self._buffer.popleft()


def ingest(services: Services) -> int:
    """Move what is in the stream into Postgres and the scorecard; the number of outcomes taken in."""
    taken = 0
    while True:
        count = _ingest_batch(services)
        taken += count
        if count < BATCH:
            return taken


def _ingest_batch(services: Services) -> int:
    policy = services.policy
    with database.transaction(services.sessions) as session:
        row = outcomes.learned(session)
        entries = _read(services.redis, row.stream_id)
        said = feedback.waiting(session)
        if not entries and not said:
            return 0
        card = held_or_rebuilt(session, row, policy)  # before the rows are in, so that they count once
        stored = outcomes.record(session, [parsed for _, fields in entries if (parsed := _parsed(fields)) is not None])
        request_log.take_in(session, [fields[REQUEST] for _, fields in entries if REQUEST in fields])
        taken = [_outcome(each) for each in stored]
        card = _heard(card.observe(taken, policy), said, policy)
        feedback.counted(session, [each.feedback.request_id for each in said])
        if services.config.value.learns_continuously:
            row.drift = Watched.from_json(row.drift).after(taken, policy.drift).to_json()
        row.stream_id = entries[-1][0] if entries else row.stream_id
        hold(row, card, database.now(session))
        generation, stream_id = row.generation, row.stream_id
    publish(services.redis, generation, card)
    if entries:
        _trim(services.redis, stream_id)
    return len(entries)


def _heard(card: Scorecard, said: Sequence[feedback.Heard], policy: Policy) -> Scorecard:
    for each, target in said:
        card = card.hear(target, each.score, each.at, policy, was=each.counted_score)
    return card


def _read(connection: redis.Redis, after: str) -> list[tuple[str, dict[str, str]]]:
    try:
        entries: Any = connection.xrange(STREAM, min=f"({after}", count=BATCH)
    except redis.RedisError as error:
        raise DependencyUnavailable(f"Redis is not reachable: {error}") from error
    return [(_text(entry_id), {_text(k): _text(v) for k, v in fields.items()}) for entry_id, fields in entries]


def _parsed(fields: Mapping[str, str]) -> dict[str, Any] | None:
    """The outcome in an entry; None for one that holds none, or none of ours: that is reported, and passed over."""
    if OUTCOME not in fields:
        return None
    try:
        row = json.loads(fields[OUTCOME])
        row["at"] = datetime.fromisoformat(row["at"])
        _outcome(row)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        log.error("outcome not readable, dropped", reason=repr(error))
        return None
    return dict(row)


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


def _written(entry: Entry) -> dict[Any, Any]:
    return {name: json.dumps(row() if callable(row) else row) for name, row in entry.items()}


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()

"""The one evidence store: live outcomes come in by a Redis stream, rounds by the optimizer; scorecards go out.

    gateway → Recorder (bounded buffer) → Redis stream → ingest → Postgres + scorecard → every process

Postgres holds the truth. The row `learned` remembers the last stream entry it contains, in the same transaction as
the outcomes themselves, so that an entry counts once however often it is delivered.
"""

from __future__ import annotations

import json
from datetime import datetime

import redis
import structlog
from sqlalchemy.orm import Session

from app.domain.evidence.scorecard import Scorecard
from app.domain.policy import Policy
from app.evidence import rebuilding
from app.evidence.rebuilding import Rebuilt
from app.live import published
from app.live.published import Published
from app.services import Services
from app.store import database, history, outcomes
from app.store.database import Sessions
from app.store.models import Learned

log = structlog.get_logger()

NAME = "scorecard"


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


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()

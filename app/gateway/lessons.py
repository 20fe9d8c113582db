"""What refusals have taught of targets: who refused what another target then served is not asked for it for a while.

Each process keeps the lessons in memory; a new one goes to all through Redis. A lesson is about a need of requests
(app.gateway.needs) where the refusal's words name one, else, after some in a row, about requests that need all that
those did.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import redis
import structlog

from app.domain.catalog import Target
from app.domain.policy import GatewayPolicy
from app.errors import ProviderError
from app.gateway.needs import blamed
from app.live.published import CHANNEL

log = structlog.get_logger()

KEY = "tooloo:lessons"
#: characters of a refusal that are kept
WORDS = 200
#: of one target; the next ones replace those that end first
MOST = 32


@dataclass(frozen=True, slots=True)
class Lesson:
    """Requests with all these needs were refused."""

    needs: frozenset[str]
    until: datetime
    #: what is kept of its refusal: no words of the provider, who may quote the request, and others are told this
    words: str

    def __str__(self) -> str:
        about = ", ".join(sorted(self.needs)) or "any request"
        return f"it refused {about} that another target served: {self.words}"

    def to_json(self) -> dict[str, Any]:
        return {"needs": sorted(self.needs), "until": self.until.isoformat(), "words": self.words}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Lesson:
        """Raises ValueError for what `to_json` did not write."""
        try:
            until = datetime.fromisoformat(document["until"])
            return cls(frozenset(map(str, document["needs"])), until, str(document["words"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a lesson: {error!r}") from None


Learned = Mapping[Target, tuple[Lesson, ...]]


class Lessons:
    """`value` is replaced, never changed, so a reader needs no lock. Without Redis each process has its own."""

    def __init__(self, connection: redis.Redis, policy: GatewayPolicy) -> None:
        self.value: Learned = {}
        self._connection = connection
        self._policy = policy
        self._lock = threading.Lock()
        #: refusals in a row whose words tell nothing
        self._unexplained: dict[tuple[Target, frozenset[str]], int] = {}
        self._untold: set[Target] = set()

    def against(self, target: Target, needs: frozenset[str], now: datetime) -> Lesson | None:
        """Why not to ask this target for this."""
        lessons = self.value.get(target)
        if lessons is None:
            return None
        return next((each for each in lessons if now < each.until and each.needs <= needs), None)

    def refused(self, target: Target, needs: frozenset[str], refusal: ProviderError, now: datetime) -> None:
        """It refused a request that another target served."""
        need = blamed(refusal, needs)
        about = needs if need is None else frozenset({need})
        with self._lock:
            if need is None:
                times = self._unexplained[target, needs] = self._unexplained.get((target, needs), 0) + 1
                if times < self._policy.refusals_to_learn:
                    return
            lesson = Lesson(about, now + timedelta(seconds=self._policy.lesson_s), refusal.kept[:WORDS])
            others = [each for each in self.value.get(target, ()) if each.needs != about and now < each.until]
            self.value = {**self.value, target: (*others, lesson)[-MOST:]}
            self._untold.add(target)
        log.warning("refusal", target=str(target), needs=sorted(about), words=lesson.words)
        # it is rare, and the request that noticed must not wait for Redis
        threading.Thread(target=self._tell, args=(self._connection,), name="lessons", daemon=True).start()

    def shown(self, now: datetime) -> dict[str, list[str]]:
        """By target, what it is not asked for at the moment."""
        return {
            str(target): current
            for target, lessons in self.value.items()
            if (current := [str(each) for each in lessons if now < each.until])
        }

    @property
    def unexplained(self) -> bool:
        """Is there anything that a success would put right?"""
        return bool(self._unexplained)

    def served(self, target: Target, needs: frozenset[str]) -> None:
        """It can do that after all."""
        if not self._unexplained:
            return
        with self._lock:
            for key in [key for key in self._unexplained if key[0] == target and key[1] <= needs]:
                del self._unexplained[key]

    def refresh(self, connection: redis.Redis) -> bool:
        """Tell what could not be told before, and take over what other processes have learned."""
        self._tell(connection)
        theirs = told(connection)
        with self._lock:
            merged = {**self.value, **{t: lessons for t, lessons in theirs.items() if t not in self._untold}}
            if merged == self.value:
                return False
            self.value = merged
        return True

    def _tell(self, connection: redis.Redis) -> None:
        with self._lock:
            untold = {target: self.value[target] for target in self._untold}
        for target, lessons in untold.items():
            try:
                connection.hset(KEY, str(target), json.dumps([each.to_json() for each in lessons]))
                connection.expire(KEY, round(self._policy.lesson_s) + 1)
                connection.publish(CHANNEL, "lessons")
            except redis.RedisError as error:
                log.warning("refusal not shared yet", target=str(target), reason=str(error))
                return
            with self._lock:
                if self.value[target] == lessons:
                    self._untold.discard(target)


def told(connection: redis.Redis) -> dict[Target, tuple[Lesson, ...]]:
    """What all processes have learned; nothing while Redis is away."""
    try:
        fields: Any = connection.hgetall(KEY)
        return {_target(field): tuple(map(Lesson.from_json, json.loads(body))) for field, body in fields.items()}
    except redis.RedisError:
        return {}
    except ValueError as error:
        log.warning("refusals not readable", reason=str(error))
        return {}


def _target(field: bytes | str) -> Target:
    return Target.parse(field if isinstance(field, str) else field.decode())

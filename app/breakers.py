"""Circuit breakers shared by all gateway processes: each keeps them in memory, a change goes through Redis."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import redis
import structlog

from app.domain.breaker import Breaker
from app.domain.catalog import Target
from app.domain.policy import BreakerPolicy
from app.errors import ProviderError
from app.published import CHANNEL

log = structlog.get_logger()

KEY = "tooloo:breakers"


class Breakers:
    """`value` is replaced, never changed, so a reader needs no lock. Without Redis each process has its own."""

    def __init__(self, connection: redis.Redis, policy: BreakerPolicy) -> None:
        self.value: Mapping[Target, Breaker] = {}
        #: counts changes of `value`
        self.generation = 0
        self._connection = connection
        self._policy = policy
        self._lock = threading.Lock()

    def observe(self, target: Target, error: ProviderError | None, now: datetime) -> None:
        """Count one call; opening and closing are told to all processes."""
        with self._lock:
            before = self.value.get(target, Breaker())
            if error is None and before == Breaker():
                return
            if error is not None and not error.counts:
                return
            after = before.after(
                error is None,
                error_class=None if error is None else error.code,
                needs_person=error is not None and error.needs_person,
                retry_after_s=None if error is None else error.retry_after_s,
                now=now,
                policy=self._policy,
            )
            self._replace({**self.value, target: after})
        if after.open_until != before.open_until:
            self._tell(target, after)

    def refresh(self, connection: redis.Redis) -> bool:
        """Take over what other processes have told."""
        try:
            told: Any = connection.hgetall(KEY)
        except redis.RedisError:
            return False
        theirs = {_target(field): _breaker(body) for field, body in told.items()}
        with self._lock:
            merged = {**self.value, **{target: b for target, b in theirs.items() if self._is_news(target, b)}}
            if merged == self.value:
                return False
            self._replace(merged)
        return True

    def _is_news(self, target: Target, told: Breaker) -> bool:
        # failures short of opening are counted per process; only opening and closing are shared
        mine = self.value.get(target)
        return mine is None or mine.open_until != told.open_until

    def _replace(self, value: Mapping[Target, Breaker]) -> None:
        self.value = value
        self.generation += 1

    def _tell(self, target: Target, breaker: Breaker) -> None:
        state = "open" if breaker.open_until else "closed"
        log.warning("breaker", target=str(target), state=state, reason=breaker.reason)
        try:
            self._connection.hset(KEY, str(target), json.dumps(breaker.to_json()))
            self._connection.publish(CHANNEL, "breakers")
        except redis.RedisError as error:
            log.warning("breaker not shared", target=str(target), reason=str(error))


def told(connection: redis.Redis) -> dict[Target, Breaker]:
    """What the gateway processes have told of their breakers; nothing while Redis is away."""
    try:
        fields: Any = connection.hgetall(KEY)
        return {_target(field): _breaker(body) for field, body in fields.items()}
    except (redis.RedisError, ValueError) as error:
        log.warning("breakers not readable", reason=str(error))
        return {}


def _target(field: bytes | str) -> Target:
    return Target.parse(field if isinstance(field, str) else field.decode())


def _breaker(body: bytes | str) -> Breaker:
    return Breaker.from_json(json.loads(body))

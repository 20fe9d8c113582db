"""Circuit breakers shared by all gateway processes: each keeps them in memory, a change goes through Redis."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import redis
import structlog

from app.domain.catalog import Target
from app.domain.policy import BreakerPolicy
from app.domain.routing.breaker import Breaker, State
from app.errors import ProviderError
from app.live.published import CHANNEL

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
        #: openings and closings that Redis has not been told yet
        self._untold: dict[Target, Breaker] = {}
        #: targets on trial in this process, and until when nobody else tries them here
        self._trials: dict[Target, datetime] = {}

    def admits(self, target: Target, now: datetime) -> bool:
        """May this request call the target? A half-open one gets a single trial at a time per process.

        Who is admitted to a trial must end it by `observe` or `release`; one that never does ends by itself.
        """
        breaker = self.value.get(target)
        if breaker is None or breaker.allows(now) != "half_open":
            return True
        with self._lock:
            if now < self._trials.get(target, now):
                return False
            self._trials[target] = now + timedelta(seconds=self._policy.open_s)
        return True

    def is_open(self, target: Target, now: datetime) -> bool:
        breaker = self.value.get(target)
        return breaker is not None and breaker.allows(now) == "open"

    def is_sound(self, target: Target) -> bool:
        """Has it answered when it was called last?"""
        breaker = self.value.get(target)
        return breaker is None or breaker.failures == 0

    def release(self, target: Target) -> None:
        """The trial came to no end: its caller went away."""
        with self._lock:
            self._trials.pop(target, None)

    def states(self, now: datetime) -> dict[Target, State]:
        """Of every target that is not closed."""
        states = {target: breaker.allows(now) for target, breaker in self.value.items()}
        return {target: state for target, state in states.items() if state != "closed"}

    def observe(self, target: Target, error: ProviderError | None, now: datetime) -> None:
        """Count one call; opening and closing are told to all processes."""
        with self._lock:
            self._trials.pop(target, None)
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
            if after.open_until == before.open_until:
                return
            self._untold[target] = after
        state = "open" if after.open_until else "closed"
        log.warning("breaker", target=str(target), state=state, reason=after.reason)
        # it is rare, and the request that noticed must not wait for Redis
        threading.Thread(target=self._tell, args=(self._connection,), name="breakers", daemon=True).start()

    def refresh(self, connection: redis.Redis) -> bool:
        """Tell what could not be told before, and take over what other processes have told."""
        self._tell(connection)
        try:
            told: Any = connection.hgetall(KEY)
        except redis.RedisError:
            return False
        theirs = {_target(field): _breaker(body) for field, body in told.items()}
        with self._lock:
            news = {target: b for target, b in theirs.items() if self._is_news(target, b)}
            merged = {**self.value, **news}
            if merged == self.value:
                return False
            self._replace(merged)
        return True

    def _is_news(self, target: Target, told: Breaker) -> bool:
        # failures short of opening are counted per process; only opening and closing are shared
        if target in self._untold:
            return False
        mine = self.value.get(target)
        return mine is None or mine.open_until != told.open_until

    def _replace(self, value: Mapping[Target, Breaker]) -> None:
        self.value = value
        self.generation += 1

    def _tell(self, connection: redis.Redis) -> None:
        with self._lock:
            untold = dict(self._untold)
        for target, breaker in untold.items():
            try:
                connection.hset(KEY, str(target), json.dumps(breaker.to_json()))
                connection.publish(CHANNEL, "breakers")
            except redis.RedisError as error:
                log.warning("breaker not shared yet", target=str(target), reason=str(error))
                return
            with self._lock:
                if self._untold.get(target) == breaker:
                    del self._untold[target]


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

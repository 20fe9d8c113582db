"""Circuit breakers of all gateway processes together: each keeps them in memory, what is counted goes through Redis."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, NamedTuple, Protocol, runtime_checkable

import redis
import structlog

from app.domain.catalog import Target
from app.domain.policy import BreakerPolicy
from app.domain.routing.breaker import Breaker, State, Turn
from app.errors import ProviderError
from app.evidence.recorder import TURN, Entry
from app.gateway.in_flight import InFlight
from app.gateway.trials import Trials
from app.live.published import CHANNEL

log = structlog.get_logger()

KEY = "tooloo:breakers"
#: calls of a target that are kept while Redis is away; a success makes those before it needless
MOST_UNTOLD = 50
#: looks at a count that others change at the same moment
MOST_TRIES = 20

#: KEYS counts; ARGV target, as it was read, as it is to be. 1: written; 0: somebody else was faster
_SWAP = """
local held = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if held ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""


class Breakers:
    """`value` is replaced, never changed, so a reader needs no lock. Without Redis each process has its own.

    `record` is handed each opening and closing of the breakers that all processes share, once, by whose call it was.
    """

    def __init__(
        self, connection: redis.Redis, policy: BreakerPolicy, record: Callable[[Entry], object] = lambda _: None
    ) -> None:
        self.value: Mapping[Target, Breaker] = {}
        #: counts changes of `value`
        self.generation = 0
        self._connection = connection
        self._policy = policy
        self._record = record
        self._lock = threading.Lock()
        #: calls that Redis has not been told of yet, and whether a thread is about it
        self._untold: dict[Target, tuple[_Call, ...]] = {}
        self._telling = False
        self._teller: threading.Thread | None = None
        #: held by who tells: what is told twice would be counted twice
        self._tells = threading.Lock()
        self.in_flight = InFlight()
        self.trials = Trials(connection, KEY, policy.open_s)

    def admits(self, target: Target, now: datetime, planned: datetime) -> bool:
        """May this request, whose plan is of `planned`, call the target?

        A half-open one gets a single trial at a time over all processes: who is admitted to it must end it by `observe`
        or `release`; one that never does ends by itself. One that opened since the plan was made is no trial any more.
        """
        breaker = self.value.get(target)
        if breaker is None or breaker.open_until is None:
            return True
        if breaker.allows(now) == "half_open":
            return self.trials.begin(target, breaker.open_until, now)
        return breaker.opened_at is None or breaker.opened_at < planned

    def is_open(self, target: Target, now: datetime) -> bool:
        breaker = self.value.get(target)
        return breaker is not None and breaker.allows(now) == "open"

    def is_sound(self, target: Target) -> bool:
        """Has it answered when it was called last?"""
        breaker = self.value.get(target)
        return breaker is None or breaker.failures == 0

    def release(self, target: Target) -> None:
        """The trial came to no end: its caller went away."""
        if self.trials.end(target):
            with self._lock:
                self._starts_telling()

    def states(self, now: datetime) -> dict[Target, State]:
        """Of every target that is not closed."""
        states = {target: breaker.allows(now) for target, breaker in self.value.items()}
        return {target: state for target, state in states.items() if state != "closed"}

    def observe(self, target: Target, error: ProviderError | None, now: datetime) -> None:
        """Count one call; the count is that of all processes, as soon as Redis has been told."""
        if error is not None and not error.counts:
            self.release(target)
            return
        call = _Call(error, now)
        with self._lock:
            before = self.value.get(target, Breaker())
            if error is None and before == Breaker():
                if self.trials.end(target):
                    self._starts_telling()
                return
            after = call.after(before, self._policy)
            self._replace({**self.value, target: after})
            untold = self._untold.get(target, ())
            self._untold[target] = (call,) if error is None else (*untold, call)[-MOST_UNTOLD:]
            self.trials.end(target)  # in one step with what came of it: told apart, others could try it between them
            self._starts_telling()
        if after.open_until != before.open_until:
            _say(target, after)

    def _starts_telling(self) -> None:
        """The request that noticed must not wait for Redis."""
        starts, self._telling = not self._telling, True
        if starts:
            self._teller = threading.Thread(target=self._tell_all, name="breakers", daemon=True)
            self._teller.start()

    def stop(self) -> None:
        """Behind the last observation: wait until Redis has been told, or is found to be away."""
        if self._teller is not None:
            self._teller.join(timeout=5)

    def refresh(self, connection: redis.Redis) -> bool:
        """Tell what could not be told before, and take over what other processes have told; every few seconds.

        Calls that wait for a target which hangs are stopped at that chance: they fall over.
        """
        for call in self.in_flight.given_up():
            if isinstance(call, Stoppable):
                call.stop()
        with self._tells:  # what is told meanwhile would be neither in the answer read nor among the untold
            self._told(connection)
            try:
                told: Any = connection.hgetall(KEY)
            except redis.RedisError:
                return False
            return self._merge({_target(field): _breaker(body) for field, body in told.items()})

    def _merge(self, theirs: Mapping[Target, Breaker]) -> bool:
        """True where that changes anything."""
        with self._lock:
            known = {target: self._with_untold(target, breaker) for target, breaker in theirs.items()}
            merged = {**self.value, **known}
            if merged == self.value:
                return False
            self._replace(merged)
        return True

    def _with_untold(self, target: Target, told: Breaker) -> Breaker:
        for call in self._untold.get(target, ()):
            told = call.after(told, self._policy)
        return told

    def _replace(self, value: Mapping[Target, Breaker]) -> None:
        self.value = value
        self.generation += 1

    def _tell_all(self) -> None:
        while self._tell(self._connection):
            with self._lock:
                if not self._untold and not self.trials.untold:
                    self._telling = False
                    return
        with self._lock:
            self._telling = False

    def _tell(self, connection: redis.Redis) -> bool:
        """Count what was seen here where all processes count; False where Redis is away."""
        with self._tells:
            return self._told(connection)

    def _told(self, connection: redis.Redis) -> bool:
        with self._lock:
            untold, ended = dict(self._untold), self.trials.untold
        for target, calls in untold.items():
            try:
                shared, changed = self._count(connection, target, calls)
                if changed:  # who does not know of a failure does not tell of the success that ends it
                    connection.publish(CHANNEL, "breakers")
            except redis.RedisError as error:
                log.warning("breaker not shared yet", target=str(target), reason=str(error))
                return False
            with self._lock:
                rest = tuple(call for call in self._untold.get(target, ()) if call not in calls)
                self._untold.pop(target)
                if rest:
                    self._untold[target] = rest
                mine = self.value.get(target)
                if (seen := self._with_untold(target, shared)) != mine:
                    self._replace({**self.value, target: seen})
        return self._gave_back(connection, ended)

    def _gave_back(self, connection: redis.Redis, ended: Mapping[Target, str]) -> bool:
        """Behind the counts: who knows what came of a trial begins no other one."""
        try:
            self.trials.tell(connection, ended)
        except redis.RedisError as error:
            log.warning("end of a trial not shared yet", reason=str(error))
            return False
        return True

    def _count(self, connection: redis.Redis, target: Target, calls: tuple[_Call, ...]) -> tuple[Breaker, bool]:
        """The breaker of all processes with these calls, and whether they changed it."""
        for _ in range(MOST_TRIES):
            held: Any = connection.hget(KEY, str(target))
            before = _breaker(held) if held else Breaker()
            after, turns = before, []
            for call in calls:
                known, after = after, call.after(after, self._policy)
                if (turn := known.turn(after, call.at)) is not None:
                    turns.append(_turned(target, turn, call.at))
            written = json.dumps(after.to_json())
            if connection.eval(_SWAP, 1, KEY, str(target), held or "", written):
                for each in turns:
                    self._record(each)
                break
        return after, after != before


@runtime_checkable
class Stoppable(Protocol):
    def stop(self) -> None: ...


class _Call(NamedTuple):
    """How one ended, and when."""

    error: ProviderError | None
    at: datetime

    def after(self, breaker: Breaker, policy: BreakerPolicy) -> Breaker:
        error = self.error
        return breaker.after(
            error is None,
            error_class=None if error is None else error.code,
            needs_person=error is not None and error.needs_person,
            retry_after_s=None if error is None else error.retry_after_s,
            now=self.at,
            policy=policy,
        )


def _say(target: Target, breaker: Breaker) -> None:
    state = "open" if breaker.open_until else "closed"
    log.warning("breaker", target=str(target), state=state, reason=breaker.reason)


def _turned(target: Target, turn: Turn, at: datetime) -> Entry:
    return {TURN: {"at": at.isoformat(), "provider": target.provider, "model": target.model, **asdict(turn)}}


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

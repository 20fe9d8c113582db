"""Quotas of all processes together: each keeps what all have spent in memory, and tells the others what it spends.

Nobody waits for Redis, and there is no count to keep right in it: every process adds up the same events, which go
through a stream. What others spend is known here some milliseconds later, and what a provider's headers say holds for
all of them. Without Redis each process has its own.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import redis
import structlog

from app.domain.catalog import Provider, Target
from app.domain.routing import router
from app.domain.routing.allowance import WINDOW_S, Reading
from app.domain.routing.plan import Plan
from app.domain.routing.quota import Declared, Shortage
from app.domain.routing.quotas import Quotas
from app.domain.routing.router import Route

log = structlog.get_logger()

STREAM = "tooloo:quotas"
#: events of a stream, and s until one that nobody adds to is forgotten
MOST_EVENTS, STREAM_S = 5_000, 600
#: s between words of what was spent; where little is left, and where nothing is scarce
SOON_S, LATER_S = 0.02, 1.0
#: s for which a process counts that has said something
ACTIVE_S = 5.0
#: ms that who listens waits for the next event
LISTEN_MS = 400
#: events that are kept while Redis is away
MOST_UNTOLD = 2_000

Event = list[Any]


def declared(providers: Iterable[Provider]) -> dict[str, Declared]:
    return {each.name: Declared(each.requests_per_minute, each.tokens_per_minute) for each in providers}


class SharedQuotas:
    """Of one process."""

    def __init__(
        self,
        connection: redis.Redis,
        limits: Mapping[str, Declared],
        retry_after_cap_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._quotas = Quotas(limits, retry_after_cap_s)
        self._connection = connection
        self._clock = clock
        self._lock = threading.Lock()
        self._me = uuid.uuid4().hex
        self._untold: list[Event] = []
        #: of them, what was spent last on each target: more may be added to it
        self._spent: dict[Target, Event] = {}
        #: processes that have said something of late, and when
        self._others: dict[str, float] = {}
        #: heard up to here; at first what was said within the last window
        self._heard = f"{max(0, round((clock() - WINDOW_S) * 1000))}-0"
        self._wake, self._hurry, self._stopping = threading.Event(), threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Tell others and hear them, until `stop`; harmless where that is so already."""
        if self._threads:
            return
        self._stopping.clear()
        self._threads = [
            threading.Thread(target=self._tell_on, name="quotas-tell", daemon=True),
            threading.Thread(target=self._listen, name="quotas-listen", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()
        self._hurry.set()
        for thread in self._threads:
            thread.join(timeout=3)  # they are daemons, and may wait for a Redis that is away
        self._threads = []

    @property
    def counts_tokens(self) -> bool:
        """Is any limit known that is one of tokens?"""
        return self._quotas.counts_tokens

    def within(self, plan: Plan, route: Route, prompt_tokens: float = 0.0) -> Route:
        """The route past targets that are used up."""
        now_s, order = self._clock(), route.order
        if not order:
            return route
        firsts = {order[0]} if route.is_settled else {order[0], *plan.ties, *plan.explorable[:1]}
        with self._lock:
            self._quotas.wanted(order[0])
            if not any(self._quotas.shortage(each, now_s, prompt_tokens) for each in firsts):
                return route
            return router.within(plan, route, self._quotas.used_up(order, now_s, prompt_tokens))

    def shortage(self, target: Target, prompt_tokens: float = 0.0) -> Shortage | None:
        """Why it should not be asked at the moment; None: it may be."""
        with self._lock:
            return self._quotas.shortage(target, self._clock(), prompt_tokens)

    @contextmanager
    def reserved(self, target: Target, patience_s: float) -> Iterator[Callable[[], Shortage | None]]:
        """The next request that the target takes is kept for who holds this; gives what says whether it may be sent."""
        until_s = self._clock() + patience_s
        self._happened(["reserve", str(target), until_s], soon=True)
        try:
            yield lambda: self._kept(target)
        finally:
            self._happened(["release", str(target), until_s], soon=True)

    def _kept(self, target: Target) -> Shortage | None:
        with self._lock:
            return self._quotas.shortage(target, self._clock(), reserved=True)

    def spend(self, target: Target, prompt_tokens: float = 0.0, requests: float = 1.0) -> float:
        """A request is sent now: the moment, to be given to `ended`."""
        with self._lock:
            at_s = self._clock()
            self._quotas.spend(target, at_s, prompt_tokens, requests)
            self._say_spent(target, at_s, prompt_tokens, requests)
        return at_s

    def _say_spent(self, target: Target, at_s: float, prompt_tokens: float, requests: float) -> None:
        """Together with what was spent on it since others were told, unless something else has happened between."""
        said, soon = self._spent.get(target), self._quotas.is_scarce(target, at_s)
        if said is None or requests != 1.0:
            event = ["spend", str(target), at_s, prompt_tokens, requests]
            self._say(event, soon=soon)
            if requests == 1.0:
                self._spent[target] = event
            return
        count = said[4]
        said[2:] = at_s, (said[3] * count + prompt_tokens) / (count + 1), count + 1
        if soon:
            self._hurry.set()

    def answered(
        self, target: Target, sent_s: float, readings: Sequence[Reading], expected: float, prompt: int, completion: int
    ) -> None:
        """An answer came, of so many tokens where `expected` were spent for its prompt.

        Others hear of it where it says or ends something: of a target without a limit it does neither.
        """
        with self._lock:
            now_s = self._clock()
            is_news = bool(readings) or self._quotas.is_limited(target)
            self._quotas.answered(target, sent_s, now_s, readings, expected, prompt, completion)
            if is_news:
                event = ["answered", str(target), sent_s, now_s, readings, expected, prompt, completion]
                self._say(event, soon=False)
                self._spent.pop(target, None)

    def limited(
        self, target: Target, sent_s: float, retry_after_s: float | None, readings: Sequence[Reading], expected: float
    ) -> None:
        """A 429 came."""
        self._happened(["limited", str(target), sent_s, self._clock(), retry_after_s, readings, expected], soon=True)

    def read(self, target: Target, sent_s: float, readings: Sequence[Reading]) -> None:
        """It failed otherwise, and told what is left."""
        if readings:
            self._happened(["read", str(target), sent_s, self._clock(), readings])

    def left(self, targets: Iterable[Target]) -> dict[Target, dict[str, Any]]:
        """What is known of the targets' quotas, as the API shows it."""
        with self._lock:
            now_s = self._clock()
            shown = ((target, self._quotas.to_json(target, now_s)) for target in targets)
            return {target: known for target, known in shown if known is not None}

    def _happened(self, event: Event, *, soon: bool = False) -> None:
        with self._lock:
            self._quotas.apply(event)
            self._say(event, soon=soon)
            self._spent.clear()

    def _say(self, event: Event, *, soon: bool) -> None:
        self._untold.append(event)
        if len(self._untold) > MOST_UNTOLD:
            del self._untold[:-MOST_UNTOLD]
            self._spent.clear()  # what is not among them is told to nobody
        if not self._wake.is_set():
            self._wake.set()
        if soon:
            self._hurry.set()

    def _tell_on(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait()
            self._hurry.wait(LATER_S)
            self._stopping.wait(SOON_S)  # others may come
            self._wake.clear()
            self._hurry.clear()
            self.tell(self._connection)

    def tell(self, connection: redis.Redis) -> bool:
        """What was seen here and not told yet; False where Redis is away."""
        with self._lock:
            events, self._untold = self._untold, []
            self._spent.clear()
        if not events:
            return True
        try:
            pipe = connection.pipeline(transaction=False)
            pipe.xadd(STREAM, {"by": self._me, "events": json.dumps(events)}, maxlen=MOST_EVENTS)
            pipe.expire(STREAM, STREAM_S)
            pipe.execute()
        except redis.RedisError as error:
            log.warning("quotas not shared", reason=str(error))
            with self._lock:
                self._untold = [*events, *self._untold][-MOST_UNTOLD:]
            return False
        return True

    def _listen(self) -> None:
        while not self._stopping.is_set():
            if not self.hear(self._connection, LISTEN_MS):
                self._stopping.wait(1.0)

    def hear(self, connection: redis.Redis, wait_ms: int | None = None) -> bool:
        """Take over what others have said since; False where Redis is away."""
        try:
            found: Any = connection.xread({STREAM: self._heard}, block=wait_ms)
        except (redis.RedisError, OSError, ValueError) as error:  # the last two: its connection was closed meanwhile
            if self._stopping.is_set():
                return False
            log.warning("quotas of other processes not known", reason=str(error))
            return False
        for _, entries in found or ():
            for name, fields in entries:
                self._heard = name.decode() if isinstance(name, bytes) else name
                self._take(fields)
        with self._lock:
            now_s = time.monotonic()
            self._others = {name: at_s for name, at_s in self._others.items() if now_s - at_s < ACTIVE_S}
            self._quotas.beside = len(self._others)
        return True

    def _take(self, fields: Mapping[Any, Any]) -> None:
        said = {_text(name): _text(value) for name, value in fields.items()}
        if said.get("by") == self._me:
            return
        try:
            events: list[Event] = json.loads(said["events"])
            with self._lock:
                self._others[said["by"]] = time.monotonic()
                for event in events:
                    self._quotas.apply(event)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            log.error("unreadable event of a quota", reason=repr(error))


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()

"""What a key may still use, asked before its request is served and settled behind it, over all processes.

A request of a key with limits asks Redis once, for WAIT_S at most; what it used is told behind it, by a thread. A key
without limits is not counted. While Redis is away a process goes by what it last heard and what it counts itself: N
processes may then let up to N times the rest pass, and what they counted is told when Redis is back.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import redis
import structlog

from app.access import spending
from app.access.allowance import Allowance, Spent
from app.access.book import Book, Used, refusal
from app.access.ledger import Days, Figures, Ledger
from app.access.refusals import over, refused, too_large
from app.access.spending import Spending
from app.domain.key_limits import KeyLimits, Period, period
from app.errors import DependencyUnavailable

log = structlog.get_logger()

#: s that a request waits for Redis at most, and for which it is not asked after a failure
WAIT_S, PAUSE_S = 0.1, 2.0
#: s that a request waits for a place that the key's last one may just be giving back
PLACE_S = 0.03
#: s between two looks of the thread where nothing happens, and between two words of what is in flight
LOOK_S, RENEW_S = 0.5, 10.0

#: by key: its limits, of those that have a budget
Budgets = Callable[[], Mapping[str, KeyLimits]]


@dataclass(slots=True)
class _Untold:
    """Of one key, minute and day."""

    used: Used
    spent: Spent = field(default_factory=Spent)
    holds: list[str] = field(default_factory=list)

    def add(self, used: Used, spent: Spent, holds: list[str]) -> None:
        mine = self.used
        self.used = replace(
            mine,
            requests=mine.requests + used.requests,
            tokens=mine.tokens + used.tokens,
            nanos=mine.nanos + used.nanos,
        )
        self.spent, self.holds = self.spent + spent, self.holds + holds


class Allowances:
    """Of one process; `connection` is one that gives up after WAIT_S. `now_s`: of Redis, in tests."""

    def __init__(
        self,
        connection: redis.Redis,
        spent: Spending,
        budgets: Budgets,
        clock: Callable[[], float] = time.time,
        now_s: float | None = None,
    ) -> None:
        self.ledger = Ledger(connection, now_s)
        self._spending = spent
        self._budgets = budgets
        self._clock = clock
        self._lock = threading.Lock()
        self._books: dict[str, Book] = {}
        self._holds: dict[str, set[str]] = {}
        self._untold: dict[tuple[str, int, str], _Untold] = {}
        #: until when a key has no requests left in its minute: seconds of the clock
        self._full: dict[str, float] = {}
        self._away_until_s = 0.0
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._threads = [
            threading.Thread(target=self._tell_on, name="allowances", daemon=True),
            threading.Thread(target=self._keep, name="spending", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """What is not told yet is told, or written at least."""
        self._stopping.set()
        self._wake.set()
        for thread in self._threads:
            thread.join(timeout=5)
        with self._lock:
            for (key_id, _, day), each in self._untold.items():
                self._spending.add(key_id, day, each.spent)
        try:
            self._spending.write()
        except DependencyUnavailable as error:
            log.warning("what keys spent is not written", reason=str(error))

    def of(self, key_id: str, name: str, limits: KeyLimits) -> Allowance:
        """Of a request, which is to `begin`."""
        return Allowance(key_id, name, limits, self)

    def begin(self, asked: Allowance, *, sized: bool) -> None:
        """`sized`: how much it may use is known later, and its `reserve` asks. Raises as that does."""
        if not (sized and asked.limits.by_size):
            self.take(asked, 0, 0)
        elif (left_s := self._full.get(asked.key_id, 0.0) - self._clock()) > 0:
            raise refused(asked, "requests", left_s, self._clock())

    def take(self, asked: Allowance, tokens: int, nanos: int) -> None:
        most = asked.limits.tokens_per_minute
        if most is not None and tokens > most:
            raise too_large(asked, tokens, most)
        asked.period = period(asked.limits.zone, datetime.fromtimestamp(self._clock(), UTC))
        asked.tokens, asked.nanos, asked.hold = tokens, nanos, f"{uuid.uuid4().hex[:16]}|{nanos}"
        told = self._take(asked, asked.period)
        if told.refused == "in_flight":
            self._stopping.wait(PLACE_S)
            told = self._take(asked, asked.period)
        asked.figures = told
        if told.refused:
            raise refused(asked, told.refused, told.left_s, self._clock())
        asked.admitted = True
        with self._lock:
            book = self._books[asked.key_id]
            book.open, book.held = book.open + 1, book.held + nanos
            if asked.hold:
                self._holds.setdefault(asked.key_id, set()).add(asked.hold)

    def end(self, asked: Allowance) -> None:
        """In memory; the thread tells Redis."""
        if asked.admitted:
            self._end(asked)
        elif asked.figures is None and asked.limits.requests_per_minute is not None:
            self._end_unsized(asked)
        else:
            return
        self._wake.set()

    def figures(self, key_id: str, limits: KeyLimits) -> tuple[Figures, Period]:
        """What a key has used until now."""
        now_s = self._clock()
        at = period(limits.zone, datetime.fromtimestamp(now_s, UTC))
        days = self._days(key_id, at.day, at.month)
        if not self._is_away():
            try:
                return self.ledger.settle(key_id, days, 0, (0, 0, 0)), at
            except redis.RedisError as error:
                self._away(error)
        with self._lock:
            return self._alone(key_id, days, now_s), at

    def tell(self) -> None:
        """What ended here since; raises redis.RedisError, and keeps it for the next time."""
        with self._lock:
            waiting, self._untold = self._untold, {}
        try:
            for place, each in list(waiting.items()):
                key_id, minute, day = place
                days = self._days(key_id, day, each.used.month)
                used = (each.used.requests, each.used.tokens, each.used.nanos)
                told = self.ledger.settle(key_id, days, minute, used, each.holds)
                del waiting[place]
                self._spending.add(key_id, day, each.spent)
                self._tell_book(key_id, told, days)
        finally:
            with self._lock:
                for place, each in waiting.items():
                    self._say(place[0], each.used, each.spent, each.holds)

    def keep(self) -> None:
        """Write what was spent, and see to it that Redis knows of it; raises DependencyUnavailable, RedisError."""
        self._spending.write()
        budgets = self._budgets()
        self._spending.read(budgets)
        for key_id, limits in budgets.items():
            at = period(limits.zone, datetime.fromtimestamp(self._clock(), UTC))
            days = self._days(key_id, at.day, at.month)
            self._tell_book(key_id, self.ledger.at_least(key_id, self._spending.known(key_id, at.day, at.month)), days)

    def over(self) -> dict[str, str]:
        """By key: what is spent of a budget of which nothing is left, as it is known here."""
        found = {}
        for key_id, limits in self._budgets().items():
            at = period(limits.zone, datetime.fromtimestamp(self._clock(), UTC))
            days = self._days(key_id, at.day, at.month)
            if limits.budget is not None and (said := over(limits.budget, days.day_spent, days.month_spent)):
                found[key_id] = said
        return found

    def renew(self) -> None:
        """What is in flight here is still; raises redis.RedisError."""
        with self._lock:
            holds = {key_id: sorted(names) for key_id, names in self._holds.items() if names}
        for key_id, names in holds.items():
            self.ledger.renew(key_id, names)

    def _take(self, asked: Allowance, at: Period) -> Figures:
        days = self._days(asked.key_id, at.day, at.month)
        if not self._is_away():
            try:
                told = self.ledger.take(asked.key_id, asked.limits, days, asked.hold, asked.tokens)
            except redis.RedisError as error:
                self._away(error)
            else:
                self._tell_book(asked.key_id, told, days)
                return told
        asked.hold = ""
        with self._lock:
            now_s = self._clock()
            told = self._alone(asked.key_id, days, now_s)
            told = replace(told, refused=refusal(asked.limits, told, asked.nanos, asked.tokens))
            if not told.refused:
                used = Used(told.minute, at.day, at.month, 1, asked.tokens)
                self._say(asked.key_id, used, Spent(), [])
                told = replace(told, requests=told.requests + 1, tokens=told.tokens + asked.tokens)
        return told

    def _end(self, asked: Allowance) -> None:
        assert asked.figures is not None
        assert asked.period is not None
        at, tokens = asked.period, asked.used.tokens - asked.tokens
        used = Used(asked.figures.minute, at.day, at.month, 0, tokens, asked.used.nanos)
        with self._lock:
            book = self._books[asked.key_id]
            book.open, book.held = book.open - 1, book.held - asked.nanos
            self._holds.get(asked.key_id, set()).discard(asked.hold)
            self._say(asked.key_id, used, asked.used, [asked.hold] if asked.hold else [])

    def _end_unsized(self, asked: Allowance) -> None:
        """It was answered before it was known how much it may use, with an error mostly: it counts all the same."""
        now_s = self._clock()
        at = period(asked.limits.zone, datetime.fromtimestamp(now_s, UTC))
        with self._lock:
            self._book(asked.key_id)
            self._say(asked.key_id, Used(int(now_s // 60), at.day, at.month, 1), Spent(), [])
            known = self._alone(asked.key_id, self._books[asked.key_id].known(Days(at.day, at.month)), now_s)
            if refusal(asked.limits, known, 0, 0) == "requests":
                self._full[asked.key_id] = now_s + known.left_s

    def _alone(self, key_id: str, days: Days, now_s: float) -> Figures:
        """With the lock held."""
        untold = [each.used for (other, _, _), each in self._untold.items() if other == key_id]
        return self._book(key_id).alone(days, untold, now_s)

    def _say(self, key_id: str, used: Used, spent: Spent, holds: list[str]) -> None:
        """With the lock held."""
        place = key_id, used.minute, used.day
        if place not in self._untold:
            self._untold[place] = _Untold(Used(used.minute, used.day, used.month))
        self._untold[place].add(used, spent, holds)

    def _days(self, key_id: str, day: str, month: str) -> Days:
        elsewhere = self._spending.known(key_id, day, month)
        with self._lock:
            return self._book(key_id).known(elsewhere)

    def _book(self, key_id: str) -> Book:
        return self._books.setdefault(key_id, Book())

    def _tell_book(self, key_id: str, told: Figures, days: Days) -> None:
        with self._lock:
            self._book(key_id).tell(told, days)

    def _is_away(self) -> bool:
        return time.monotonic() < self._away_until_s

    def _away(self, error: redis.RedisError) -> None:
        self._away_until_s = time.monotonic() + PAUSE_S
        log.warning("limits of keys count this process alone", reason=str(error))

    def _tell_on(self) -> None:
        renewed_s = time.monotonic()
        while not self._stopping.is_set():
            self._wake.wait(LOOK_S)
            self._wake.clear()
            if self._is_away():
                self._stopping.wait(LOOK_S)
                continue
            try:
                self.tell()
                if time.monotonic() - renewed_s >= RENEW_S:
                    renewed_s = time.monotonic()
                    self.renew()
            except redis.RedisError as error:
                self._away(error)

    def _keep(self) -> None:
        while not self._stopping.is_set():
            try:
                self.keep()
            except (DependencyUnavailable, redis.RedisError) as error:
                log.warning("what keys spent is not kept at the moment", reason=str(error))
            self._stopping.wait(spending.EVERY_S)

"""Calls in flight, by target: one that takes requests and answers none is noticed before the first of them ends."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter

from app.domain.catalog import Target
from app.domain.routing.latency_quantile import Tail

#: calls that are late at once, before a target is held for one that hangs
LATE = 3
#: answers of a target before its p95 says what late is; a call is late at TIMES as much, and not before LEAST_S
KNOWN, TIMES, LEAST_S = 20, 4.0, 2.0
#: s; a call that is not streamed is given up where its target hangs, but not before
GIVE_UP_S = 30.0


@dataclass(slots=True)
class _Calls:
    """Of one target, streamed or not. Starts are in order, so the first ones are the oldest."""

    tail: Tail = field(default_factory=lambda: Tail(KNOWN))
    started_s: dict[object, float] = field(default_factory=dict)
    #: when the latest answer came
    answered_s: float = 0.0

    def patience_s(self, unknown_s: float) -> float:
        p95_ms = self.tail.p95()
        return unknown_s if p95_ms is None else max(LEAST_S, TIMES * p95_ms / 1000)

    def hangs(self, unknown_s: float, now_s: float) -> bool:
        """Are there calls that should have been answered, and none was for as long?"""
        if len(self.started_s) < LATE:
            return False
        late_s = now_s - self.patience_s(unknown_s)
        (latest,) = islice(self.started_s.values(), LATE - 1, LATE)
        return latest < late_s and self.answered_s < late_s


class InFlight:
    """Of one process."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._calls: dict[tuple[Target, bool], _Calls] = defaultdict(_Calls)
        self._lock = threading.Lock()

    def begin(self, target: Target, call: object, *, stream: bool) -> None:
        with self._lock:
            self._calls[target, stream].started_s[call] = self._clock()

    def end(self, target: Target, call: object, *, stream: bool, answered: bool) -> None:
        """An answer is there, of a stream its first token; or none will come. Harmless where that was said before."""
        with self._lock:
            calls = self._calls[target, stream]
            started_s = calls.started_s.pop(call, None)
            if answered and started_s is not None:
                calls.answered_s = self._clock()
                calls.tail.note((calls.answered_s - started_s) * 1000)

    def late_ms(self, target: Target, *, stream: bool) -> float | None:
        """By what it usually takes, after how long an answer is late; None: too few were seen."""
        with self._lock:
            calls = self._calls.get((target, stream))
            p95_ms = None if calls is None else calls.tail.p95()
        return None if p95_ms is None else TIMES * p95_ms

    def hangs(self, target: Target, *, stream: bool, unknown_ms: float) -> bool:
        """`unknown_ms`: what late is where too few answers were seen to say."""
        with self._lock:
            calls = self._calls.get((target, stream))
            return calls is not None and calls.hangs(unknown_ms / 1000, self._clock())

    def given_up(self) -> list[object]:
        """Calls that are not streamed and wait for a target that hangs by what it usually takes."""
        found: list[object] = []
        with self._lock:
            now_s = self._clock()
            for (_, stream), calls in self._calls.items():
                if not stream and calls.tail.p95() is not None and calls.hangs(0.0, now_s):
                    wait_s = max(GIVE_UP_S, calls.patience_s(0.0))
                    found += [call for call, started_s in calls.started_s.items() if started_s < now_s - wait_s]
        return found

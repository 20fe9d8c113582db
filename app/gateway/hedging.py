"""Hedging: a second target is asked where the first is late, and whoever answers first serves the request.

Late is later than 19 of 20 of that target's latest calls in this process: of a plain request the answer, of a stream
the first token. Both calls run in threads of their own, so that an answer never waits for the end of the other call.
Only the first call of a request is hedged, and never one that explores: it is made to see how its target does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import structlog

from app.domain.catalog import Target
from app.domain.policy import GatewayPolicy
from app.domain.routing.latency_quantile import Share, Tail
from app.errors import ProviderError
from app.gateway.calls import Begun
from app.gateway.metrics import Metrics
from app.gateway.request import Trip
from app.providers.base import Answer, Usage
from app.providers.http.clock import CancelToken

log = structlog.get_logger()

#: calls at once that run in a thread of hedging; with all of them busy requests are called as without it
THREADS = 512

R = TypeVar("R", Answer, Begun)
Caller = Callable[[Trip, Target, CancelToken | None], R]


@dataclass(eq=False, slots=True)
class _Leg(Generic[R]):
    """One of two calls at once."""

    target: Target
    cancel: CancelToken
    future: Future[R]
    started_s: float = field(default_factory=time.perf_counter)

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started_s) * 1000

    def used(self) -> Usage | None:
        """Known where a plain answer came all the same."""
        if not self.future.done() or self.future.exception() is not None:
            return None
        result = self.future.result()
        return result.usage if isinstance(result, Answer) else None

    def drop(self) -> None:
        """Stop it where it is; its thread closes the connection."""
        self.cancel.cancel()
        self.future.add_done_callback(_unwanted)


def _unwanted(ended: Future[R]) -> None:
    error = ended.exception()
    if error is None:
        result = ended.result()
        if isinstance(result, Begun):
            result.upstream.close()
    elif not isinstance(error, ProviderError):
        log.error("a call that nobody waited for broke", exc_info=error)


class Hedging:
    """Of one process; built only where the policy's share is above 0."""

    def __init__(self, policy: GatewayPolicy, metrics: Metrics) -> None:
        self._least = policy.hedge_least
        self._metrics = metrics
        #: plain calls and streams apart
        self._tails: dict[tuple[Target, bool], Tail] = {}
        self._share = Share(policy.hedge_share)
        self._lock = threading.Lock()
        self._places = threading.Semaphore(THREADS)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="hedging")

    def stop(self) -> None:
        self._threads.shutdown(wait=False)

    def note(self, target: Target, took_ms: float, *, stream: bool) -> None:
        """One more time until the target's answer, or its first token."""
        with self._lock:
            self._tails.setdefault((target, stream), Tail(self._least)).note(took_ms)

    def first(self, trip: Trip, call: Caller[R]) -> tuple[Target, R] | None:
        """The first call of a request, and a second beside it where that is due: who answered, and what.

        None where nobody did: the failures are counted, and the trip goes on to its next target. Raises what
        Trip.failed raises.
        """
        target = next(trip.targets(), None)
        if target is None:
            return None
        patience_ms = self._patience_ms(trip, target)
        if patience_ms is None or not self._places.acquire(blocking=False):
            won = _alone(trip, target, call)
        else:
            won = self._race(trip, self._start(trip, target, call), call, patience_ms)
        if won is not None and won[0] == target:
            self.note(target, trip.elapsed_ms(), stream=trip.stream)
        return won

    def _patience_ms(self, trip: Trip, target: Target) -> float | None:
        """How long to wait for the target alone; None: for as long as it takes."""
        with self._lock:
            affordable = self._share.count()
            tail = self._tails.get((target, trip.stream))
            if tail is None or not affordable or trip.route.explored or len(trip.route.order) < 2:
                return None
            return tail.p95()

    def _race(self, trip: Trip, leg: _Leg[R], call: Caller[R], patience_ms: float) -> tuple[Target, R] | None:
        running = [leg]
        with _dropped_at_last(running):
            wait([leg.future], timeout=max(0.0, patience_ms - trip.elapsed_ms()) / 1000)
            second = None if leg.future.done() else self._second(trip, call)
            if second is None:
                return _first_success(trip, running)
            running.append(second)
            won = None
            try:
                won = _first_success(trip, running)
            finally:
                self._metrics.hedge(won=won is not None and won[0] == second.target)
            if won is not None and won[0] == second.target:
                # it took longer, how much is not known: at its place above the p95, that is all the p95 has to know
                self.note(leg.target, leg.elapsed_ms(), stream=trip.stream)
            return won

    def _second(self, trip: Trip, call: Caller[R]) -> _Leg[R] | None:
        """Where the share allows one and there is somebody to ask."""
        if not self._places.acquire(blocking=False):
            return None
        with self._lock:
            allowed = self._share.take()
        if allowed and (target := trip.spare()) is not None:
            return self._start(trip, target, call)
        self._places.release()
        if allowed:
            with self._lock:
                self._share.give_back()
        return None

    def _start(self, trip: Trip, target: Target, call: Caller[R]) -> _Leg[R]:
        """In a place that the caller has acquired."""
        cancel = CancelToken()
        future = self._threads.submit(call, trip, target, cancel)
        future.add_done_callback(lambda _: self._places.release())
        return _Leg(target, cancel, future)


def _alone(trip: Trip, target: Target, call: Caller[R]) -> tuple[Target, R] | None:
    try:
        return target, call(trip, target, None)
    except ProviderError as failure:
        trip.failed(target, failure)
        return None


def _first_success(trip: Trip, running: list[_Leg[R]]) -> tuple[Target, R] | None:
    """Waits for one after the other to end; None where all failed. The end of the request is the end of all.

    What the second target refuses ends nothing: without hedging it would not have been asked.
    """
    first = running[0]
    while running:
        wait([leg.future for leg in running], return_when=FIRST_COMPLETED)
        ended = next(leg for leg in running if leg.future.done())
        running.remove(ended)
        try:
            result = ended.future.result()
        except ProviderError as failure:
            if failure.elsewhere:
                trip.failed(ended.target, failure)
            elif ended is first:
                _lose(trip, running)
                trip.failed(ended.target, failure)
            else:
                trip.set_aside(ended.target, failure)
        else:
            _lose(trip, running)
            return ended.target, result
    return None


def _lose(trip: Trip, running: list[_Leg[R]]) -> None:
    """What still runs is in vain; counted before the request ends, as its log entry holds all attempts."""
    while running:
        leg = running.pop()
        leg.drop()
        trip.hedged(leg.target, leg.elapsed_ms(), leg.used())


@contextmanager
def _dropped_at_last(running: list[_Leg[R]]) -> Iterator[None]:
    """Whatever is raised, no call outlives its request."""
    try:
        yield
    finally:
        for leg in running:
            leg.drop()

"""Hedging: a second target is asked where the first is late, and whoever answers first serves the request.

Late is later than 19 of 20 of that target's latest calls in this process: of a plain request the answer, of a stream
the first token. Both calls run in threads of their own, so that an answer never waits for the end of the other call.
Only the first call of a request is hedged, and never one that explores: it is made to see how its target does.
Whoever waits for a stream is given a BEAT where that takes long, so that waiting is a generator.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from time import perf_counter
from typing import Any, TypeVar

from app.domain.catalog import Target
from app.domain.policy import GatewayPolicy
from app.domain.routing.latency_quantile import Share, Tail
from app.errors import ProviderError
from app.gateway import choice
from app.gateway.attempt import Attempt, R, Send
from app.gateway.metrics import Metrics
from app.gateway.request import Request
from app.providers.base import BEAT, Answer, Delta

T = TypeVar("T")
#: gives BEATs while it waits
Waiting = Generator[Delta, None, T]
#: tries an attempt by itself; None where it failed, which is counted then
Alone = Callable[[Request, Attempt[R]], Waiting[Attempt[R] | None]]

#: calls at once that run in a thread of hedging; with all of them busy requests are called as without it
THREADS = 512


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

    def first_answer(self, request: Request, send: Send[Answer]) -> Attempt[Answer] | None:
        """`first` of a plain call, which nobody is told anything of before its end."""
        waiting = self.first(request, send, _alone)
        while True:
            try:
                next(waiting)
            except StopIteration as end:
                winner: Attempt[Answer] | None = end.value
                return winner

    def first(self, request: Request, send: Send[R], alone: Alone[R]) -> Waiting[Attempt[R] | None]:
        """The first attempt of a request, and a second beside it where that is due: the one that won.

        None where neither did: the failures are counted, and the request goes on to its next target. Raises what
        Request.failed raises.
        """
        attempt = next(choice.next_attempts(request, send), None)
        if attempt is None:
            return None
        patience_ms = self._patience_ms(request, attempt.target)
        if patience_ms is None or not self._places.acquire(blocking=False):
            winner = yield from alone(request, attempt)
        else:
            self._start(attempt)
            winner = yield from self._race(request, attempt, send, patience_ms)
        if winner is attempt:
            self.note(attempt.target, request.elapsed_ms(), stream=request.stream)
        return winner

    def _patience_ms(self, request: Request, target: Target) -> float | None:
        """How long to wait for the target alone; None: for as long as it takes."""
        with self._lock:
            affordable = self._share.count()
            tail = self._tails.get((target, request.stream))
            if tail is None or not affordable or request.route.explored or len(request.route.order) < 2:
                return None
            return tail.p95()

    def _race(
        self, request: Request, first: Attempt[R], send: Send[R], patience_ms: float
    ) -> Waiting[Attempt[R] | None]:
        running = [first]
        with _cancelled_at_last(running):
            yield from _until_one_ended(request, running, request.started_s + patience_ms / 1000)
            second = None if first.future.done() else self._second(request, send)
            if second is None:
                return (yield from _first_success(request, running))
            running.append(second)
            winner = None
            try:
                winner = yield from _first_success(request, running)
            finally:
                self._metrics.hedge(won=winner is second)
            if winner is second:
                # it took longer, how much is not known: at its place above the p95, that is all the p95 has to know
                self.note(first.target, first.elapsed_ms(), stream=request.stream)
            return winner

    def _second(self, request: Request, send: Send[R]) -> Attempt[R] | None:
        """Started where the share allows one and there is somebody to ask."""
        if not self._places.acquire(blocking=False):
            return None
        with self._lock:
            allowed = self._share.take()
        if allowed and (attempt := choice.second_attempt(request, send)) is not None:
            self._start(attempt)
            return attempt
        self._places.release()
        if allowed:
            with self._lock:
                self._share.give_back()
        return None

    def _start(self, attempt: Attempt[Any]) -> None:
        """In a place that the caller has acquired."""
        attempt.start(self._threads)
        attempt.future.add_done_callback(lambda _: self._places.release())


def _alone(request: Request, attempt: Attempt[Answer]) -> Waiting[Attempt[Answer] | None]:
    yield from ()
    try:
        attempt.run()
    except ProviderError as failure:
        request.failed(attempt, failure)
        return None
    return attempt


def _until_one_ended(request: Request, running: list[Attempt[R]], until_s: float = math.inf) -> Waiting[None]:
    """Or `until_s` of perf_counter(); BEATs are as far apart as `heartbeat_ms`, from the request's beginning on."""
    every_s = request.services.policy.gateway.heartbeat_ms / 1000 if request.stream else math.inf
    futures = [each.future for each in running]
    while not any(each.done() for each in futures) and (left_s := until_s - perf_counter()) > 0:
        beat_s = every_s - (request.elapsed_ms() / 1000) % every_s
        wait_s = min(left_s, beat_s)
        wait(futures, None if wait_s == math.inf else wait_s, FIRST_COMPLETED)
        if beat_s < left_s and not any(each.done() for each in futures):
            yield BEAT


def _first_success(request: Request, running: list[Attempt[R]]) -> Waiting[Attempt[R] | None]:
    """Waits for one after the other to end; None where all failed. The end of the request is the end of all.

    What the second target refuses ends nothing: without hedging it would not have been asked.
    """
    first = running[0]
    while running:
        yield from _until_one_ended(request, running)
        ended = next(each for each in running if each.future.done())
        running.remove(ended)
        try:
            ended.future.result()
        except ProviderError as failure:
            if request.goes_elsewhere(failure):
                request.failed(ended, failure)
            elif ended is first or request.left:
                _overtake(request, running)
                request.failed(ended, failure)
            else:
                request.set_aside(ended, failure)
        else:
            _overtake(request, running)
            return ended
    return None


def _overtake(request: Request, running: list[Attempt[R]]) -> None:
    """What still runs is in vain; counted before the request ends, as its log entry holds all attempts."""
    while running:
        attempt = running.pop()
        attempt.cancel()
        request.overtaken(attempt)


@contextmanager
def _cancelled_at_last(running: list[Attempt[R]]) -> Iterator[None]:
    """Whatever is raised, no call outlives its request."""
    try:
        yield
    finally:
        for attempt in running:
            attempt.cancel()

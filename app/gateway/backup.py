"""A plain call that has said nothing for long is asked of another target beside; whoever answers first serves.

A plain answer comes all at once, so its silence does not tell a target that hangs from one that has much to say: the
first call is not given up, it gets company. Not hedging, which is for the tail of what is usual and off by default.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from app.errors import ProviderError
from app.gateway import choice
from app.gateway.attempt import Attempt
from app.gateway.request import Request
from app.providers.base import Answer

#: backups at once in one process; they are rare
THREADS = 64


class Backups:
    """Of one process."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="backup")

    def stop(self) -> None:
        self._threads.shutdown(wait=False)

    def run(self, request: Request, attempt: Attempt[Answer]) -> Attempt[Answer] | None:
        """Make the attempt, and one beside it where it is silent for too long: the one that answered.

        None where neither did: the failures are counted, and the request goes on. Raises what Request.failed raises.
        """
        beside: list[Attempt[Answer]] = []

        def on_silence() -> None:
            """Called by the thread that waits for the first call."""
            if not beside and (second := choice.second_attempt(request, attempt.send)) is not None:
                beside.append(second)
                second.start(self._threads)
                second.future.add_done_callback(lambda done: None if done.exception() else attempt.stop())

        attempt.on_silence = on_silence
        try:
            attempt.run()
        except ProviderError as failure:
            return self._failed(request, attempt, failure, beside)
        for second in beside:
            _overtake(request, second)
        return attempt

    def _failed(
        self, request: Request, attempt: Attempt[Answer], failure: ProviderError, beside: list[Attempt[Answer]]
    ) -> Attempt[Answer] | None:
        if not beside:
            request.failed(attempt, failure)
            return None
        (second,) = beside
        if second.future.done() and second.future.exception() is None:
            request.overtaken(attempt)
            return second
        if not request.goes_elsewhere(failure):
            _overtake(request, second)
        request.failed(attempt, failure)
        try:
            second.future.result()
        except ProviderError as also:
            request.failed(second, also)
            return None
        return second


def _overtake(request: Request, attempt: Attempt[Answer]) -> None:
    attempt.cancel()
    request.overtaken(attempt)

"""Threads that an event loop hands its requests to."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable

Work = Callable[[], None]


class Threads:
    """Started as they are needed; used by one event loop.

    The loop is not woken when work has ended, as an executor of the standard library does it: a wake-up is a system
    call and two changes of the thread that holds the interpreter's lock, and the work itself has sent its answer. The
    loop learns of it by `settle`, which `run` calls too. Only what `work` raises wakes it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._started = self._busy = 0
        self._waiting: queue.SimpleQueue[tuple[Work, asyncio.Future[None]]] = queue.SimpleQueue()
        #: … with what it raised, if anything
        self._ended: deque[tuple[asyncio.Future[None], Exception | None]] = deque()

    async def run(self, work: Work) -> None:
        """Raises what `work` raises. Returns some time after it has ended: see `settle`."""
        self.settle()
        self._busy += 1
        if self._started < min(self._busy, self._most):
            self._started += 1
            threading.Thread(target=self._serve, name=f"request-{self._started}", daemon=True).start()
        done = asyncio.get_running_loop().create_future()
        self._waiting.put((work, done))
        await done

    def settle(self) -> bool:
        """Let those `run`s return whose work has ended; is there any left?"""
        while self._ended:
            self._busy -= 1
            _end(*self._ended.popleft())
        return self._busy > 0

    def _serve(self) -> None:
        while True:
            work, done = self._waiting.get()
            try:
                work()
            except Exception as error:  # noqa: BLE001  # handed to who waits for it
                self._ended.append((done, error))
                done.get_loop().call_soon_threadsafe(self.settle)
            else:
                self._ended.append((done, None))
            del work, done  # not to be held until the next one comes


def _end(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.done():  # nobody waits any more
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)

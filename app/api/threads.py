"""Threads that an event loop hands its requests to."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable

Work = Callable[[], None]
#: work, and who waits for its end
_Job = tuple[Work, "asyncio.Future[None]"]


class Threads:
    """Started as they are needed; used by one event loop.

    A job goes to the thread that became idle last, woken by a lock of its own: a queue that all of them wait at wakes
    a second one for each job, which finds nothing and takes the interpreter's lock for it from the first.

    The loop is not woken when work has ended, as an executor of the standard library does it: a wake-up is a system
    call and two changes of the thread that holds the interpreter's lock, and the work itself has sent its answer. The
    loop learns of it by `settle`, which `run` calls too. Only what `work` raises wakes it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._started = 0
        self._running = 0
        #: for `_idle` and `_waiting`, of which one is empty
        self._lock = threading.Lock()
        self._idle: list[_Idle] = []
        self._waiting: deque[_Job] = deque()
        #: … with what it raised, if anything
        self._ended: deque[tuple[asyncio.Future[None], Exception | None]] = deque()

    async def run(self, work: Work) -> None:
        """Raises what `work` raises. Returns some time after it has ended: see `settle`."""
        done = asyncio.get_running_loop().create_future()
        self.start(work, done)
        await done

    def start(self, work: Work, done: asyncio.Future[None]) -> None:
        """In the event loop; `done` ends with it, as `run` does."""
        self.settle()
        self._running += 1
        self._hand_over((work, done))

    def settle(self) -> bool:
        """Let those `run`s return whose work has ended; is there any left?"""
        while self._ended:
            self._running -= 1
            _end(*self._ended.popleft())
        return self._running > 0

    def _hand_over(self, job: _Job) -> None:
        with self._lock:
            idle = self._idle.pop() if self._idle else None
            if idle is None:
                self._waiting.append(job)
        if idle is not None:
            idle.take(job)
        elif self._started < self._most:
            self._started += 1
            threading.Thread(target=self._serve, name=f"request-{self._started}", daemon=True).start()

    def _serve(self) -> None:
        idle = _Idle()
        while True:
            work, done = self._next(idle)
            try:
                work()
            except Exception as error:  # noqa: BLE001  # handed to who waits for it
                self._ended.append((done, error))
                done.get_loop().call_soon_threadsafe(self.settle)
            else:
                self._ended.append((done, None))
            del work, done  # not to be held until the next one comes

    def _next(self, idle: _Idle) -> _Job:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._idle.append(idle)
        return idle.wait()


class _Idle:
    """One thread that waits for a job."""

    __slots__ = ("_job", "_woken")

    def __init__(self) -> None:
        self._woken = threading.Lock()
        self._woken.acquire()
        self._job: _Job | None = None

    def take(self, job: _Job) -> None:
        self._job = job
        self._woken.release()

    def wait(self) -> _Job:
        self._woken.acquire()
        job, self._job = self._job, None
        assert job is not None  # set before the lock is released
        return job


def _end(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.done():  # nobody waits any more
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)

"""Threads behind an event loop: what they work at, how their end is known, and what looks after many at once."""

from __future__ import annotations

import asyncio
import threading

import pytest

from app.api.sweep import Sweep
from app.api.threads import Threads
from tests.support.waiting import wait_until


def test_work_runs_in_threads_that_are_used_again() -> None:
    threads, names = Threads(2), list[str]()

    async def one() -> None:
        work = asyncio.ensure_future(threads.run(lambda: names.append(threading.current_thread().name)))
        while not work.done():
            await asyncio.sleep(0.001)
            threads.settle()

    async def all_of_them() -> None:
        for _ in range(20):
            await one()

    asyncio.run(all_of_them())
    assert len(names) == 20
    assert set(names) <= {"request-1", "request-2"}


def test_no_more_of_it_runs_at_once_than_there_are_threads() -> None:
    threads, go_on, running = Threads(3), threading.Event(), list[int]()

    def work() -> None:
        running.append(1)
        go_on.wait(30)

    async def all_of_them() -> None:
        runs = [asyncio.ensure_future(threads.run(work)) for _ in range(10)]
        while len(running) < 3:
            await asyncio.sleep(0.001)
        assert len(running) == 3
        go_on.set()
        while threads.settle():
            await asyncio.sleep(0.001)
        await asyncio.gather(*runs)

    asyncio.run(all_of_them())
    assert len(running) == 10


def test_what_it_raises_is_raised_at_once() -> None:
    """Without anybody looking after what has ended."""
    threads = Threads(1)

    def work() -> None:
        raise ZeroDivisionError

    async def run() -> None:
        await asyncio.wait_for(threads.run(work), 30)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(run())


def test_what_it_raises_is_not_lost_to_who_looks_after_what_has_ended_first() -> None:
    """The next request does, before the loop has come to what wakes it."""
    threads = Threads(1)

    def work() -> None:
        raise ZeroDivisionError

    async def run() -> None:
        failing = asyncio.ensure_future(threads.run(work))
        await asyncio.sleep(0)  # it is handed over
        wait_until(lambda: threads._ended, 30, what="the work has ended")
        threads.settle()
        await failing

    with pytest.raises(ZeroDivisionError):
        asyncio.run(run())


def test_work_that_nobody_waits_for_any_more_ends_all_the_same() -> None:
    threads, go_on, ended = Threads(1), threading.Event(), threading.Event()

    def work() -> None:
        go_on.wait(30)
        ended.set()

    async def run() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(threads.run(work), 0.001)
        go_on.set()
        while threads.settle():
            await asyncio.sleep(0.001)

    asyncio.run(run())
    wait_until(ended.is_set, 30, what="the work has ended")


def test_a_sweep_looks_while_there_is_something_to_see_and_not_longer() -> None:
    seen = list[float]()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        sweep = Sweep(0.001, lambda now_s: seen.append(now_s) is None and len(seen) % 3 > 0)
        for most in (3, 6):
            sweep.need(loop)
            sweep.need(loop)
            while len(seen) < most:
                await asyncio.sleep(0.001)
            assert not sweep._is_set

    asyncio.run(run())
    assert seen == sorted(seen)

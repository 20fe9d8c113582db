"""Rate limits over a real Redis."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from app.access.limits import WINDOW_S, Limits
from app.bootstrap import connect

MINUTE = 1_000_000 * WINDOW_S


def test_a_minute_lets_as_many_pass_as_the_limit_says_and_the_next_one_again(redis_url: str) -> None:
    limits = Limits(connect(redis_url))

    taken = [limits.take("k", 3, MINUTE + 20) for _ in range(5)]

    assert taken == [None, None, None, 40, 40]
    assert limits.take("other", 3, MINUTE + 20) is None
    assert limits.take("k", 3, MINUTE + WINDOW_S) is None


def test_processes_count_together(redis_url: str) -> None:
    here, there = Limits(connect(redis_url)), Limits(connect(redis_url))
    for _ in range(2):
        here.take("k", 4, MINUTE)
    there.take("k", 4, MINUTE)

    for limits in (here, there, here):
        limits.exchange(MINUTE)

    assert [here.take("k", 4, MINUTE), here.take("k", 4, MINUTE)] == [None, WINDOW_S]
    here.exchange(MINUTE)
    there.exchange(MINUTE)
    assert there.take("k", 4, MINUTE) == WINDOW_S


def test_threads_count_each_request_once_while_counts_are_exchanged(redis_url: str) -> None:
    limits = Limits(connect(redis_url))
    done = threading.Event()

    def exchange() -> None:
        while not done.is_set():
            limits.exchange(MINUTE)

    exchanging = threading.Thread(target=exchange)
    exchanging.start()
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: limits.take("k", 300, MINUTE), range(1000)))
    done.set()
    exchanging.join()

    assert waits.count(None) == 300


def test_without_redis_a_process_counts_alone(redis_url: str) -> None:
    limits = Limits(connect("unix:///nothing/here.sock"))
    limits.start()

    assert [limits.take("k", 1, MINUTE), limits.take("k", 1, MINUTE)] == [None, WINDOW_S]
    limits.stop()

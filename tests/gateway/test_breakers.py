"""Breakers of several processes over one Redis, and of one without it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.domain.catalog import Target
from app.domain.policy import BreakerPolicy
from app.errors import Overloaded, RateLimited
from app.gateway.breakers import Breakers
from app.live.published import CHANNEL
from tests.support.waiting import wait_until

TARGET = Target("one", "m")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def connection(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url)


def processes(connection: redis.Redis, count: int) -> list[Breakers]:
    made = [Breakers(connection, BreakerPolicy()) for _ in range(count)]
    for each in made:
        each.trials.patience_s = 10  # a machine that is busy does not decide a test
    return made


def fail(breakers: Breakers, at: datetime = NOW) -> None:
    breakers.observe(TARGET, Overloaded(), at)
    breakers.stop()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_failures_count_wherever_they_are_seen(connection: redis.Redis, count: int) -> None:
    all_of_them = processes(connection, count)
    for number in range(3):
        fail(all_of_them[number % count])
    for each in all_of_them:
        each.refresh(connection)
    assert [each.is_open(TARGET, NOW) for each in all_of_them] == [True] * count
    assert {each.value[TARGET].failures for each in all_of_them} == {3}


def test_what_is_told_by_two_threads_is_counted_once(connection: redis.Redis) -> None:
    (one,) = processes(connection, 1)
    one.observe(TARGET, Overloaded(), NOW)
    one.refresh(connection)
    one.stop()
    one.refresh(connection)
    assert one.value[TARGET].failures == 1


def test_what_is_told_while_others_are_read_is_not_forgotten(connection: redis.Redis) -> None:
    (one,) = processes(connection, 1)
    for _ in range(2):
        fail(one)

    class Slow:
        """A failure comes in, and its teller begins, when what Redis has was read and not yet taken over."""

        def hgetall(self, key: str) -> object:
            told = connection.hgetall(key)
            one.observe(TARGET, Overloaded(), NOW)
            assert one._teller is not None
            one._teller.join(timeout=0.5)
            return told

        def __getattr__(self, name: str) -> object:
            return getattr(connection, name)

    one.refresh(Slow())  # type: ignore[arg-type]  # as much of a client as is used
    one.stop()

    assert one.is_open(TARGET, NOW)


def test_a_success_anywhere_closes_it_everywhere(connection: redis.Redis) -> None:
    one, two = processes(connection, 2)
    for _ in range(3):
        fail(one)
    two.refresh(connection)
    two.observe(TARGET, None, NOW + timedelta(seconds=16))
    two.stop()
    one.refresh(connection)
    assert not one.is_open(TARGET, NOW)


LATER = NOW + timedelta(seconds=16)


def half_open(connection: redis.Redis, count: int) -> list[Breakers]:
    """Processes that see the target's breaker half-open at LATER."""
    made = processes(connection, count)
    for _ in range(3):
        fail(made[0])
    for each in made:
        each.refresh(connection)
    return made


def test_one_trial_at_a_time_over_all_processes(connection: redis.Redis) -> None:
    one, two = half_open(connection, 2)

    assert [each.admits(TARGET, LATER, NOW) for each in (one, two, one, two)] == [True, False, False, False]
    one.release(TARGET)
    one.stop()
    again = LATER + timedelta(seconds=2)
    assert [each.admits(TARGET, again, NOW) for each in (two, one)] == [True, False]


def test_many_processes_and_threads_at_once_begin_one_trial(connection: redis.Redis) -> None:
    made = half_open(connection, 4)
    with ThreadPoolExecutor(16) as threads:
        admitted = list(threads.map(lambda number: made[number % 4].admits(TARGET, LATER, NOW), range(16), timeout=60))
    assert admitted.count(True) == 1


@pytest.mark.parametrize("error", [Overloaded(), None])
def test_who_has_not_heard_yet_what_came_of_a_trial_begins_none(
    connection: redis.Redis, error: Overloaded | None
) -> None:
    one, two = half_open(connection, 2)
    assert one.admits(TARGET, LATER, NOW)
    one.observe(TARGET, error, LATER)
    one.stop()

    assert not two.admits(TARGET, LATER, NOW)
    two.refresh(connection)
    assert two.is_open(TARGET, LATER) is (error is not None)
    assert two.admits(TARGET, LATER + timedelta(seconds=17), NOW)


def test_who_planned_a_trial_before_another_one_failed_it_makes_none(connection: redis.Redis) -> None:
    """Its plan says half-open, the breaker says open: it was taken for one that may be asked."""
    (one,) = half_open(connection, 1)
    assert one.admits(TARGET, LATER, LATER)
    one.observe(TARGET, Overloaded(), LATER)
    one.stop()

    assert not one.admits(TARGET, LATER, LATER)
    assert one.admits(TARGET, LATER, LATER + timedelta(seconds=1))  # by a plan that knows of it: the last resort


def test_a_trial_that_never_ends_ends_by_itself(connection: redis.Redis) -> None:
    one, two = half_open(connection, 2)
    assert one.admits(TARGET, LATER, NOW)
    (key,) = connection.keys("tooloo:breakers:trial:*")
    assert 0 < connection.pttl(key) <= 15_000
    connection.delete(key)
    assert two.admits(TARGET, LATER, NOW)


def test_where_redis_was_emptied_there_are_trials_all_the_same(connection: redis.Redis) -> None:
    one, two = half_open(connection, 2)
    connection.flushall()
    assert [each.admits(TARGET, LATER, NOW) for each in (one, two)] == [True, False]


def test_without_redis_each_process_has_its_own_trial(connection: redis.Redis) -> None:
    made = half_open(connection, 2)
    for each in made:
        each.trials._connection = redis.Redis(unix_socket_path="/nowhere.sock", retry=Retry(NoBackoff(), 0))
    assert [each.admits(TARGET, LATER, NOW) for each in made * 2] == [True, True, False, False]


def test_a_slow_redis_delays_a_trial_and_doubles_none(connection: redis.Redis) -> None:
    """Two processes on a busy machine that took no answer for a yes both tried the target."""
    (one,) = half_open(connection, 1)
    answers = threading.Event()

    class Slow:
        def eval(self, *arguments: Any) -> object:
            answers.wait(60)
            return connection.eval(*arguments)

    one.trials.patience_s = 0.01
    one.trials._connection = Slow()  # type: ignore[assignment]  # as much of a client as is used
    assert [one.admits(TARGET, LATER, NOW) for _ in range(2)] == [False, False]
    answers.set()
    wait_until(lambda: one.admits(TARGET, LATER, NOW), 20, what="the trial that Redis granted late is taken")
    assert not one.admits(TARGET, LATER, NOW)
    (claimed,) = connection.keys("tooloo:breakers:trial:*")
    assert connection.pttl(claimed) > 0


def test_a_trial_is_given_back_behind_what_came_of_it(connection: redis.Redis) -> None:
    """Told between the two, another process began a second trial of a target that had just failed its first."""
    one, two = half_open(connection, 2)
    assert one.admits(TARGET, LATER, NOW)
    ends = one.trials.end

    def tells_meanwhile(target: Target) -> bool:
        ended = ends(target)
        teller = threading.Thread(target=one.refresh, args=(connection,))
        teller.start()
        teller.join(timeout=0.5)
        return ended

    one.trials.end = tells_meanwhile  # type: ignore[method-assign]
    admitted = []
    counts = one._count

    def tries_first(*arguments: Any) -> Any:
        admitted.append(two.admits(TARGET, LATER, NOW))
        return counts(*arguments)

    one._count = tries_first  # type: ignore[method-assign]
    one.observe(TARGET, Overloaded(), LATER)
    one.stop()
    assert admitted
    assert not any(admitted)


def test_others_hear_of_each_failure_and_tell_of_the_success_that_ends_the_row(connection: redis.Redis) -> None:
    """A process that knew of openings only kept its successes to itself: three failures of many calls were a row."""
    one, two = processes(connection, 2)
    with connection.pubsub(ignore_subscribe_messages=True) as heard:  # type: ignore[no-untyped-call]  # redis-py
        heard.subscribe(CHANNEL)
        wait_until(lambda: connection.pubsub_numsub(CHANNEL)[0][1], what="it listens")
        for _ in range(3):
            fail(one)
            wait_until(heard.get_message, what="the failure is told")
            two.refresh(connection)
            two.observe(TARGET, None, NOW)
            wait_until(heard.get_message, what="the success is told")
            two.stop()
            one.refresh(connection)
    assert not one.is_open(TARGET, NOW)


def test_without_redis_each_counts_for_itself_and_tells_later(connection: redis.Redis) -> None:
    away = redis.Redis(unix_socket_path="/nowhere.sock")
    one, two = processes(away, 2)
    for _ in range(3):
        fail(one)
    assert one.is_open(TARGET, NOW)
    assert not two.is_open(TARGET, NOW)

    one.refresh(connection)
    two.refresh(connection)

    assert two.is_open(TARGET, NOW)
    assert two.value == one.value


def test_an_outage_of_a_minute_with_requests_every_four_seconds(connection: redis.Redis) -> None:
    """S15: 503 for 60 s, 20 requests, two processes in turn: few trials while it is down, and back soon after."""
    both, asked = processes(connection, 2), []
    for number in range(20):
        at, process = NOW + timedelta(seconds=4 * number), both[number // 2 % 2]
        process.refresh(connection)
        if not process.is_open(TARGET, at):
            asked.append(4 * number)
            process.observe(TARGET, Overloaded() if 4 * number < 60 else None, at)
            process.stop()
    assert [at for at in asked if at < 60] == [0, 4, 8, 24, 40]
    assert min(at for at in asked if at >= 60) - 60 <= 12


def test_a_rate_limit_is_no_outage(connection: redis.Redis) -> None:
    (one,) = processes(connection, 1)
    for _ in range(5):
        one.observe(TARGET, RateLimited(retry_after_s=2), NOW)
    one.stop()
    assert one.value == {}


def test_who_is_overloaded_and_says_for_how_long_is_left_alone_for_that(connection: redis.Redis) -> None:
    (one,) = processes(connection, 1)
    one.observe(TARGET, Overloaded(retry_after_s=2), NOW)
    one.stop()
    assert one.is_open(TARGET, NOW + timedelta(seconds=1))
    assert not one.is_open(TARGET, NOW + timedelta(seconds=2))

"""Quotas of several processes over one Redis, and of one without it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from app.domain.catalog import Target
from app.domain.routing.allowance import Reading
from app.domain.routing.quota import Declared
from app.live.quotas import STREAM, SharedQuotas
from tests.support.waiting import wait_until

TARGET = Target("one", "m")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def process(connection: redis.Redis, clock: Clock, limit: int | None = None) -> SharedQuotas:
    made = SharedQuotas(connection, {"one": Declared(requests_per_minute=limit)}, 3600.0, clock)
    made._heard = "0"  # the clock is not that of Redis
    return made


@pytest.fixture
def connection(redis_url: str) -> redis.Redis:
    found = redis.Redis.from_url(redis_url)
    found.delete(STREAM)
    return found


def talk(connection: redis.Redis, *processes: SharedQuotas) -> None:
    for each in processes:
        each.tell(connection)
    for each in processes:
        assert each.hear(connection)


def test_what_one_process_spends_is_spent_for_all(connection: redis.Redis, clock: Clock) -> None:
    one, two = process(connection, clock, 3), process(connection, clock, 3)
    for each in (one, two, one):
        each.spend(TARGET)
    talk(connection, one, two)
    assert [each.shortage(TARGET) is not None for each in (one, two)] == [True, True]
    clock.now_s += 61
    assert [each.shortage(TARGET) for each in (one, two)] == [None, None]


def test_a_process_that_begins_hears_what_was_spent_before(connection: redis.Redis, clock: Clock) -> None:
    one = process(connection, clock, 1)
    one.spend(TARGET)
    one.tell(connection)
    two = process(connection, clock, 1)
    assert two.hear(connection)
    assert two.shortage(TARGET) is not None


def test_headers_and_refusals_hold_for_all(connection: redis.Redis, clock: Clock) -> None:
    one, two = process(connection, clock), process(connection, clock)
    sent_s = one.spend(TARGET)
    one.answered(TARGET, sent_s, (Reading("requests", 0, 60, 30.0),), 0.0, 10, 20)
    talk(connection, one, two)
    assert two.left([TARGET])[TARGET]["left"] == {"requests": {"left": 0, "of": 60}}
    clock.now_s += 32
    assert two.shortage(TARGET) is None
    two.limited(TARGET, two.spend(TARGET), 20.0, (), 0.0)
    talk(connection, one, two)
    assert one.shortage(TARGET) is not None


def test_the_next_request_is_kept_for_who_reserved_it(connection: redis.Redis, clock: Clock) -> None:
    one, worker = process(connection, clock, 1), process(connection, clock, 1)
    one.spend(TARGET)
    talk(connection, one, worker)
    with worker.reserved(TARGET, 120.0) as missing:
        assert missing() is not None
        clock.now_s += 61
        talk(connection, worker, one)
        assert one.shortage(TARGET) is not None
        assert missing() is None
        worker.spend(TARGET)
    talk(connection, worker, one)
    clock.now_s += 61
    assert one.shortage(TARGET) is None


def test_a_reservation_that_is_never_given_back_ends(connection: redis.Redis, clock: Clock) -> None:
    one, worker = process(connection, clock, 1), process(connection, clock, 1)
    held = worker.reserved(TARGET, 5.0)
    held.__enter__()
    talk(connection, worker, one)
    assert one.shortage(TARGET) is not None
    clock.now_s += 6
    assert one.shortage(TARGET) is None


def test_without_redis_each_counts_for_itself_and_tells_later(
    connection: redis.Redis, clock: Clock, tmp_path: Path
) -> None:
    nowhere = redis.Redis(unix_socket_path=str(tmp_path / "nothing.sock"))
    one, two = process(nowhere, clock, 1), process(connection, clock, 1)
    one.spend(TARGET)
    assert not one.tell(nowhere)
    assert not one.hear(nowhere)
    assert one.shortage(TARGET) is not None
    talk(connection, one, two)
    assert two.shortage(TARGET) is not None


def test_what_is_no_event_is_passed_over(connection: redis.Redis, clock: Clock) -> None:
    for events in ("[", '[["spend"]]', '[["dance", "one/m"]]', '[["spend", "one/m", "now"]]', "7"):
        connection.xadd(STREAM, {"by": "x", "events": events})
    one = process(connection, clock, 1)
    assert one.hear(connection)
    assert one.shortage(TARGET) is None


def test_processes_that_run_hear_each_other(redis_url: str) -> None:
    both = [
        SharedQuotas(redis.Redis.from_url(redis_url), {"one": Declared(requests_per_minute=4)}, 60.0) for _ in range(2)
    ]
    for each in both:
        each.start()
    for each in both:
        each.spend(TARGET)
        each.spend(TARGET)
    wait_until(lambda: all(each.shortage(TARGET) is not None for each in both), 30)
    for each in both:
        each.stop()


def test_many_requests_are_told_in_one_word_and_all_counted(connection: redis.Redis, clock: Clock) -> None:
    one, two = process(connection, clock), process(connection, clock)
    sent_s = clock()
    for _ in range(5_000):  # more than the events that are kept for who has to be told
        sent_s = one.spend(TARGET, prompt_tokens=10.0)
        one.answered(TARGET, sent_s, (), 10.0, 10, 20)
    talk(connection, one, two)
    assert len(connection.xrange(STREAM)[0][1][b"events"]) < 200
    # what was served before two 429s is the number that both learn
    for each in (one, two):
        for _ in range(2):
            each.limited(TARGET, clock(), None, (), 0.0)
    learned = [each._quotas.own(TARGET).kinds["requests"].ledger.total for each in (one, two)]
    assert learned == [4_998.0, 4_998.0]


def test_what_is_spent_behind_a_refusal_is_told_behind_it(connection: redis.Redis, clock: Clock) -> None:
    one, two = process(connection, clock, 3), process(connection, clock, 3)
    first_s = one.spend(TARGET)
    one.limited(TARGET, first_s, 1.0, (), 0.0)  # it was not served
    clock.now_s += 2
    one.spend(TARGET)
    one.answered(TARGET, clock(), (), 0.0, 10, 20)
    one.spend(TARGET)
    talk(connection, one, two)
    assert [each.shortage(TARGET) for each in (one, two)] == [None, None]
    one.spend(TARGET)
    talk(connection, one, two)
    assert [each.shortage(TARGET) is not None for each in (one, two)] == [True, True]


def test_what_could_not_be_told_is_not_added_to(connection: redis.Redis, clock: Clock) -> None:
    away = redis.Redis(port=1)
    one, two = process(connection, clock, 3), process(connection, clock, 3)
    one.spend(TARGET)
    assert not one.tell(away)
    one.spend(TARGET)
    one.spend(TARGET)
    talk(connection, one, two)
    assert two.shortage(TARGET) is not None

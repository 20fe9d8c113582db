"""Wrong keys are answered more slowly, by address."""

from __future__ import annotations

import threading

import pytest

from app.access import wrong_keys
from app.access.wrong_keys import DELAY_S, FREE, MOST, PLACES, WINDOW_S, WrongKeys, network
from app.errors import TooManyRequests


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.waited: list[float] = []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(clock: Clock) -> WrongKeys:
    return WrongKeys(clock.waited.append, lambda: clock.now_s)


def test_a_few_are_answered_at_once_and_more_of_the_same_address_are_not(keys: WrongKeys, clock: Clock) -> None:
    for _ in range(FREE + 3):
        keys.shown("10.0.0.1")
    assert clock.waited == [DELAY_S] * 3
    keys.shown("10.0.0.2")
    assert len(clock.waited) == 3


def test_a_minute_later_it_begins_anew(keys: WrongKeys, clock: Clock) -> None:
    for _ in range(FREE + 1):
        keys.shown("10.0.0.1")
    clock.now_s = WINDOW_S
    keys.shown("10.0.0.1")
    assert len(clock.waited) == 1


def test_as_many_wait_as_there_are_places_and_the_rest_is_told_so() -> None:
    go, waiting = threading.Event(), threading.Semaphore(0)

    def wait(_: float) -> None:
        waiting.release()
        go.wait(10)

    keys = WrongKeys(wait, lambda: 0.0)
    for _ in range(FREE):
        keys.shown("10.0.0.1")
    threads = [threading.Thread(target=keys.shown, args=("10.0.0.1",)) for _ in range(PLACES)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert waiting.acquire(timeout=10)

    with pytest.raises(TooManyRequests) as told:
        keys.shown("10.0.0.1")

    assert told.value.retry_after_s == WINDOW_S
    keys.shown("10.0.0.2")
    go.set()
    for thread in threads:
        thread.join(10)


def test_no_more_addresses_are_remembered_than_there_is_room_for(keys: WrongKeys, clock: Clock) -> None:
    for _ in range(FREE):
        keys.shown("10.0.0.1")
    for number in range(MOST):
        keys.shown(f"fd00:0:0:{number:x}::1")
    keys.shown("10.0.0.1")
    assert clock.waited == []  # it was the oldest
    assert len(keys._seen) == MOST


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("x" * 5000, "x" * 50),
    ],
)
def test_an_address_is_that_of_a_customer(address: str, name: str) -> None:
    assert network(address) == name


def test_the_pace_leaves_threads_to_those_who_have_a_key() -> None:
    assert wrong_keys.PLACES <= 32

"""The arithmetic of hedging: what late is, and how many may be asked twice."""

from __future__ import annotations

import pytest

from app.domain.routing.latency_quantile import BURST, EVERY, RING, Share, Tail


def noted(*times_ms: float, least: int = 1) -> Tail:
    tail = Tail(least)
    for each in times_ms:
        tail.note(each)
    return tail


def test_there_is_no_p95_before_there_are_enough_observations() -> None:
    tail = noted(*range(1, 20), least=20)
    assert tail.p95() is None

    tail.note(20)
    assert tail.p95() == 19


@pytest.mark.parametrize(("times_ms", "p95"), [([7], 7), (range(20, 0, -1), 19), (range(1, 101), 95), ([5, 5, 5], 5)])
def test_p95_is_the_nearest_rank(times_ms: range | list[int], p95: float) -> None:
    assert noted(*times_ms).p95() == p95


def test_p95_forgets_what_is_older_than_the_ring() -> None:
    tail = noted(*[1000.0] * RING)
    assert tail.p95() == 1000

    for _ in range(RING):
        tail.note(1)
    assert tail.p95() == 1


def test_p95_is_computed_once_in_so_many_observations() -> None:
    tail = noted(*[1.0] * 20)
    assert tail.p95() == 1

    for _ in range(EVERY - 1):
        tail.note(1000)
    assert tail.p95() == 1

    tail.note(1000)
    assert tail.p95() == 1000


@pytest.mark.parametrize(("share", "taken"), [(0.0, 0), (0.25, 25), (0.5, 50), (1.0, 100)])
def test_of_requests_that_all_want_one_the_share_gets_a_token(share: float, taken: int) -> None:
    bucket = Share(share)

    got = sum(bucket.count() and bucket.take() for _ in range(100))

    assert got == taken


def test_quiet_times_save_up_no_more_than_the_burst() -> None:
    bucket = Share(0.5)
    for _ in range(1000):
        bucket.count()

    assert sum(bucket.take() for _ in range(1000)) == BURST


def test_a_token_that_was_of_no_use_is_there_again() -> None:
    bucket = Share(1.0)
    bucket.count()
    assert bucket.take()
    assert not bucket.take()

    bucket.give_back()
    assert bucket.take()

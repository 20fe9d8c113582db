"""A target is filled up to its quota and the rest goes on to the next, over sockets: nobody is refused for it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.gateway.test_sixteen import TEXT, Pair, pair, refuses
from tests.providers.server import Received, whole

FULL = {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "30s"}


@pytest.fixture
def two(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Pair]:
    with pair(database_url, redis_url, tmp_path) as made:
        yield made


def last_one(_: Received) -> Iterable[bytes]:
    """Served, and with that the quota is used up."""
    said = {"choices": [{"message": {"content": "so"}, "finish_reason": "stop"}], "usage": {"total_tokens": 2}}
    return whole(200, {"content-type": "application/json", **FULL}, json.dumps(said).encode())


def asked(two: Pair) -> tuple[int, int]:
    return len(two.primary.asked), len(two.secondary.asked)


def test_what_headers_say_is_left_is_used_and_no_more(two: Pair) -> None:
    two.primary.behaviours = [last_one]

    answers = [two.ask(stream=False) for _ in range(4)]

    assert [each.status for each in answers] == [200] * 4
    assert asked(two) == (1, 3)


def test_a_refusal_for_its_quota_is_met_once_and_opens_no_breaker(two: Pair) -> None:
    two.primary.behaviours = [refuses(429, **{"retry-after": "30"})]

    answers = [two.ask() for _ in range(4)]

    assert all(each.is_whole for each in answers)
    assert asked(two) == (1, 4)
    assert not two.running.gateway.breakers.value
    assert spilled(two) == 3


def test_a_declared_quota_is_held_and_where_all_are_used_up_the_provider_is_to_say_no(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with pair(database_url, redis_url, tmp_path, "requests_per_minute = 2") as two:
        for _ in range(4):
            assert two.ask(stream=False).text == TEXT
        assert asked(two) == (2, 2)
        assert two.ask(stream=False).status == 200
        assert asked(two) == (3, 2)


def spilled(two: Pair) -> float:
    connection = http.client.HTTPConnection(urlsplit(two.url).netloc, timeout=30)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("tooloo_spilled_total{"))

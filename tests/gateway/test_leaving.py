"""A stream whose client has left is stopped where it is: nobody is blamed, and nobody else is asked for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.domain.catalog import Target
from app.errors import ClientLeft
from app.gateway.calls import Call
from app.providers.base import Message
from tests.gateway.test_backup import Client, logged
from tests.gateway.test_sixteen import Pair, chunked, cut, pair, refuses, silent, words
from tests.providers.server import Received
from tests.support.waiting import wait_until


@pytest.fixture
def two(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Pair]:
    """The shipped limits: nothing but the client's leaving ends a call within a test's time."""
    with pair(database_url, redis_url, tmp_path) as made:
        yield made


@contextmanager
def reading(two: Pair) -> Iterator[tuple[Client, Future[None]]]:
    """A client in the middle of a stream; at the end the stream has ended, with an error."""
    client = Client()

    def read() -> None:
        for _ in two.running.gateway.stream(Call((Message("user", "hi"),), client=client)):
            pass

    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(read)
        yield client, asked
        with pytest.raises(ClientLeft):
            asked.result(timeout=8)


def falls_silent(two: Pair, pieces: Iterable[bytes]) -> None:
    def answer(_: Received) -> Iterator[bytes]:
        yield from chunked(pieces, end=False)
        yield from silent(two.primary.server)

    two.primary.behaviours = [answer]


@pytest.mark.parametrize("at", [0, 20], ids=["before a word", "behind twenty"])
def test_a_silent_stream_ends_when_its_client_leaves(at: int, two: Pair) -> None:
    falls_silent(two, words(0, at))
    with reading(two) as (client, _):
        wait_until(lambda: two.primary.asked, what="it is asked")
        client.leave()

    request, (outcome,) = logged(two, 1)
    assert (request.status, outcome.error_class, outcome.counts) == ("client_gone", "client_gone", False)
    assert not two.running.gateway.breakers.value
    assert not two.secondary.asked


def test_who_left_while_a_limit_was_waited_for_is_asked_for_no_more(two: Pair) -> None:
    two.primary.behaviours = [refuses(429, **{"retry-after": "2"})]
    with reading(two) as (client, _):
        quotas = two.running.gateway.services.quotas
        wait_until(lambda: quotas.shortage(Target("primary", "m")), what="the limit is known")
        client.leave()

    request, (outcome,) = logged(two, 1)
    assert (request.status, outcome.error_class) == ("client_gone", "rate_limited")
    assert (len(two.primary.asked), len(two.secondary.asked)) == (1, 0)


def test_a_rescue_ends_when_its_client_leaves(two: Pair) -> None:
    two.primary.behaviours = [cut(20)]
    two.secondary.behaviours = [lambda _: silent(two.secondary.server)]
    with reading(two) as (client, _):
        wait_until(lambda: two.secondary.asked, what="another one is asked to go on")
        client.leave()

    request, outcomes = logged(two, 2)
    assert request.status == "client_gone"
    assert [(each.error_class, each.counts) for each in outcomes] == [("stream_cut", True), ("client_gone", False)]

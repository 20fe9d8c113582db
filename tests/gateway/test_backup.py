"""A plain call that says nothing for long gets company, and one whose client has left is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.errors import ClientLeft
from app.evidence import ingest
from app.gateway.calls import Call
from app.providers.base import Message
from app.store import database
from app.store.models import LiveOutcome, LoggedRequest
from tests.gateway.test_sixteen import TEXT, Pair, pair, refuses, silent, well
from tests.providers.server import Received, Server, chunked
from tests.support.waiting import started, wait_until

BACKUP_MS = 300
Behaviour = Callable[[Received], Iterable[bytes]]


@pytest.fixture
def two(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Pair]:
    with pair(database_url, redis_url, tmp_path, backup_ms=BACKUP_MS) as made:
        yield made


def after(asked: Callable[[], Any], behave: Behaviour) -> Behaviour:
    """Behaves so when somebody else has been asked."""

    def answer(request: Received) -> Iterator[bytes]:
        wait_until(asked, 20, what="the other one is asked")
        yield from behave(request)

    return answer


def logged(two: Pair, attempts: int) -> tuple[LoggedRequest, list[LiveOutcome]]:
    """The one request, when its attempts have been ingested."""
    services = two.running.gateway.services

    def found() -> tuple[LoggedRequest, list[LiveOutcome]] | None:
        ingest.ingest(services)
        with database.transaction(services.sessions) as session:
            request = session.scalars(select(LoggedRequest)).one_or_none()
            outcomes = list(session.scalars(select(LiveOutcome).order_by(LiveOutcome.attempt)))
            session.expunge_all()
        return None if request is None or len(outcomes) < attempts else (request, outcomes)

    return wait_until(found, 20, what="it is ingested")


def test_a_target_that_hangs_is_not_waited_for(two: Pair) -> None:
    two.primary.behaviours = [lambda _: silent(two.primary.server)]

    seen = two.ask(stream=False)

    assert (seen.status, seen.text, seen.model) == (200, TEXT, "secondary/m")
    assert (len(two.primary.asked), len(two.secondary.asked)) == (1, 1)
    request, outcomes = logged(two, 2)
    assert [(each.provider, each.error_class, each.counts) for each in outcomes] == [
        ("primary", "hedged", False),
        ("secondary", None, True),
    ]
    assert request.provider == "secondary"


def test_a_slow_target_is_not_given_up(two: Pair) -> None:
    two.secondary.behaviours = [lambda _: silent(two.secondary.server)]
    two.primary.behaviours = [after(lambda: two.secondary.asked, well)]

    seen = two.ask(stream=False)

    assert (seen.text, seen.model) == (TEXT, "primary/m")
    assert (len(two.primary.asked), len(two.secondary.asked)) == (1, 1)


JSON = {"content-type": "application/json"}


def drips(server: Server, *, times: int) -> Behaviour:
    """Blank lines, as DeepSeek sends them to who waits in its queue, and then the answer."""

    def answer(request: Received) -> Iterator[bytes]:
        (said,) = well(request)
        body = said.partition(b"\r\n\r\n")[2]
        yield from chunked(chain(server.trickle(b"\n", times=times), [body]), JSON)

    return answer


def test_blanks_are_no_sign_of_an_answer(two: Pair) -> None:
    two.primary.behaviours = [drips(two.primary.server, times=500)]

    seen = two.ask(stream=False)

    assert (seen.text, seen.model) == (TEXT, "secondary/m")
    assert (len(two.primary.asked), len(two.secondary.asked)) == (1, 1)
    _, outcomes = logged(two, 2)
    assert [each.error_class for each in outcomes] == ["hedged", None]


def test_behind_blanks_that_last_an_answer_is_taken_all_the_same(two: Pair) -> None:
    two.secondary.behaviours = [lambda _: silent(two.secondary.server)]
    two.primary.behaviours = [drips(two.primary.server, times=3 * BACKUP_MS // 20)]

    seen = two.ask(stream=False)

    assert (seen.text, seen.model, len(two.secondary.asked)) == (TEXT, "primary/m", 1)


def test_an_answer_that_comes_slowly_gets_no_company(two: Pair) -> None:
    def slowly(request: Received) -> Iterator[bytes]:
        (said,) = well(request)
        body = said.partition(b"\r\n\r\n")[2]
        pieces = (body[at : at + 10] for at in range(0, len(body), 10))
        waits = two.primary.server.trickle(b"")
        yield from chunked((piece for piece, _ in zip(pieces, waits, strict=False)), JSON)

    two.primary.behaviours = [slowly]

    seen = two.ask(stream=False)

    assert (seen.text, seen.model, len(two.secondary.asked)) == (TEXT, "primary/m", 0)


@pytest.mark.parametrize("status", [500, 400])
def test_whoever_fails_the_other_one_answers(two: Pair, status: int) -> None:
    two.primary.behaviours = [after(lambda: two.secondary.asked, refuses(status))]
    two.secondary.behaviours = [after(lambda: two.primary.asked, well)]
    assert two.ask(stream=False).text == TEXT

    two.primary.behaviours = [after(lambda: len(two.secondary.asked) > 1, well)]
    two.secondary.behaviours = [refuses(status)]
    assert two.ask(stream=False).text == TEXT


def test_a_provider_that_the_request_names_is_waited_for_alone(two: Pair) -> None:
    go_on = threading.Event()
    two.primary.behaviours = [after(go_on.is_set, well)]
    asked = started(two.ask, stream=False, model="primary")
    wait_until(lambda: two.primary.asked, 10, what="it is asked")
    go_on.wait(3 * BACKUP_MS / 1000)
    go_on.set()
    assert asked.result(timeout=30).text == TEXT
    assert not two.secondary.asked


class Client:
    """Leaves when it is told to."""

    def on_leave(self, callback: Callable[[], None]) -> None:
        self.leave = callback


def test_a_call_whose_client_has_left_is_stopped_and_counts_for_nobody(two: Pair) -> None:
    client = Client()
    two.primary.behaviours = [lambda _: silent(two.primary.server)]
    call = Call((Message("user", "hi"),), provider="primary", client=client)
    asked = started(two.running.gateway.chat, call)
    wait_until(lambda: two.primary.asked, 10, what="it is asked")
    client.leave()
    with pytest.raises(ClientLeft):
        asked.result(timeout=20)

    request, (outcome,) = logged(two, 1)
    assert request.status == "client_gone"
    assert (outcome.error_class, outcome.counts) == ("client_gone", False)
    assert not two.running.gateway.breakers.value
    assert not two.secondary.asked

"""Hedging over real HTTP: when a second target is asked, who serves, and what is written down of the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pytest

from app.api import create_app
from app.domain.routing.breaker import Breaker
from app.errors import BadKey
from app.gateway.gateway import Call
from app.live.live_config import utc_now
from tests.gateway.test_gateway import QUESTION, change, ingested
from tests.providers.server import Received
from tests.support.upstreams import HANDS_OVER, INPUT_PRICE, KNOWN, NAMES, Upstreams, attempts, refused, said, upstreams
from tests.support.waiting import wait_until


class Make(Protocol):
    def __call__(self, *, models: int = 1, **policy: float) -> AbstractContextManager[Upstreams]: ...


@pytest.fixture
def make(database_url: str, redis_url: str, tmp_path: Path) -> Make:
    return lambda *, models=1, **policy: upstreams(database_url, redis_url, tmp_path, models=models, **policy)


@pytest.fixture
def up(make: Make) -> Iterator[Upstreams]:
    """Every request may be hedged."""
    with make(hedge_share=1.0) as running:
        yield running


def test_off_by_default_no_request_makes_a_second_call(make: Make) -> None:
    with make() as up:
        for _ in range(30):
            assert attempts(up.running.gateway.chat(Call(QUESTION))) == [("one", "ok")]
        assert up.running.gateway.hedging is None
        assert up.calls() == {"one": 30, "two": 0, "three": 0}
        assert not [each for each in threading.enumerate() if each.name.startswith("hedging")]


def test_where_the_first_is_late_the_second_answers_and_the_first_is_stopped(up: Upstreams) -> None:
    up.late()

    reply = up.running.gateway.chat(Call(QUESTION))

    assert (reply.answer.text, reply.target.provider) == ("two says", "two")
    assert attempts(reply) == [("one", "hedged"), ("two", "ok")]
    assert up.servers["one"].deserted.wait(HANDS_OVER)
    assert up.calls() == {"one": 1, "two": 1, "three": 0}
    assert up.hedges() == {"won": 1}


def test_late_is_learned_from_the_answers_of_the_first_target(up: Upstreams) -> None:
    for _ in range(up.system.services.policy.gateway.hedge_least):
        assert up.running.gateway.chat(Call(QUESTION)).target.provider == "one"
    up.queues("one")

    assert attempts(up.running.gateway.chat(Call(QUESTION))) == [("one", "hedged"), ("two", "ok")]


def test_with_too_few_answers_nobody_knows_what_late_is(make: Make) -> None:
    with make(hedge_share=1.0, hedge_least=KNOWN + 1) as up:
        up.known()
        assert attempts(up.running.gateway.chat(Call(QUESTION))) == [("one", "ok")]
        assert up.calls()["two"] == 0

        up.late()
        assert attempts(up.running.gateway.chat(Call(QUESTION))) == [("one", "hedged"), ("two", "ok")]


def test_a_loser_is_recorded_and_counts_neither_for_nor_against_it(up: Upstreams) -> None:
    up.late()
    reply = up.running.gateway.chat(Call(QUESTION))

    first, second = ingested(up.system, 2)
    assert (first.attempt, first.provider, first.success, first.error_class) == (1, "one", False, "hedged")
    assert (first.counts, first.tokens_estimated, first.completion_tokens) == (False, True, 0)
    assert first.cost_usd == pytest.approx(first.prompt_tokens * INPUT_PRICE / 1e6)
    assert (first.propensity, second.propensity) == (1.0, None)
    assert (second.attempt, second.provider, second.success, second.counts) == (2, "two", True, True)
    assert second.cost_usd == pytest.approx(0.0008)
    assert reply.cost_usd == pytest.approx(first.cost_usd + second.cost_usd)
    up.system.services.scorecard.refresh(up.system.services.redis)
    assert list(up.system.services.scorecard.value.evidence) == [up.target("two")]


def test_losing_again_and_again_opens_no_breaker(up: Upstreams) -> None:
    for _ in range(up.system.services.policy.breaker.failures + 1):
        up.late()
        assert up.running.gateway.chat(Call(QUESTION)).target.provider == "two"

    assert up.running.gateway.breakers.value == {}


def test_a_trial_that_loses_is_given_to_the_next_request(up: Upstreams) -> None:
    now = utc_now()
    breakers = up.running.gateway.breakers
    breakers.value = {up.target("one"): Breaker(3, now, "overloaded", now)}
    breakers.trials.patience_s = 10
    up.late()

    assert attempts(up.running.gateway.chat(Call(QUESTION))) == [("one", "hedged"), ("two", "ok")]
    wait_until(lambda: not breakers.trials.untold, what="it is given back")
    assert breakers.admits(up.target("one"), utc_now(), utc_now())


def test_the_first_may_still_win_and_the_second_is_stopped(up: Upstreams) -> None:
    up.known()
    asked = threading.Event()

    def after_the_second(_: Received) -> list[bytes]:
        asked.wait(HANDS_OVER)
        return said("one says")

    up.servers["one"].answer = after_the_second
    up.queues("two")
    queueing = up.servers["two"].answer

    def told(request: Received) -> Iterator[bytes]:
        asked.set()
        yield from queueing(request)

    up.servers["two"].answer = told
    reply = up.running.gateway.chat(Call(QUESTION))

    assert (reply.answer.text, reply.target.provider) == ("one says", "one")
    assert attempts(reply) == [("one", "ok"), ("two", "hedged")]
    assert up.servers["two"].deserted.wait(HANDS_OVER)
    assert up.hedges() == {"lost": 1}
    rows = {row.provider: row for row in ingested(up.system, 2)}
    assert (rows["one"].attempt, rows["one"].propensity, rows["two"].attempt) == (1, 1.0, 2)


def in_turn(up: Upstreams, first: int, second: int) -> None:
    """`one` fails once `two` was asked, `two` ends once that has been noticed."""
    asked = threading.Event()

    def one(_: Received) -> list[bytes]:
        asked.wait(HANDS_OVER)
        return refused(first)

    def two(_: Received) -> list[bytes]:
        asked.set()
        wait_until(lambda: up.target("one") in up.running.gateway.breakers.value)
        return said("two says") if second == 200 else refused(second)

    up.servers["one"].answer, up.servers["two"].answer = one, two


def test_where_the_first_fails_the_second_is_waited_for(up: Upstreams) -> None:
    up.known()
    in_turn(up, 500, 200)

    assert attempts(up.running.gateway.chat(Call(QUESTION))) == [("one", "server_error"), ("two", "ok")]


def test_where_both_fail_the_route_goes_on(up: Upstreams) -> None:
    up.known()
    in_turn(up, 500, 503)

    reply = up.running.gateway.chat(Call(QUESTION))

    assert [name for name, _ in attempts(reply)] == ["one", "two", "three"]
    assert reply.target.provider == "three"
    assert up.calls() == {"one": 1, "two": 1, "three": 1}
    assert up.hedges() == {"lost": 1}
    assert [(row.attempt, row.success, row.counts) for row in ingested(up.system, 3)] == [
        (1, False, True),
        (2, False, True),
        (3, True, True),
    ]


def test_what_the_first_refuses_the_second_may_answer(up: Upstreams) -> None:
    up.known()
    asked = threading.Event()
    refuses = threading.Event()

    def one(_: Received) -> list[bytes]:
        asked.wait(HANDS_OVER)
        refuses.set()
        return refused(400)

    def two(_: Received) -> list[bytes]:
        asked.set()
        refuses.wait(HANDS_OVER)
        return said("two says")

    up.servers["one"].answer, up.servers["two"].answer = one, two
    assert up.running.gateway.chat(Call(QUESTION)).answer.text == "two says"
    assert up.calls()["three"] == 0


def test_what_the_second_refuses_ends_nothing(up: Upstreams) -> None:
    up.known()

    def one(_: Received) -> list[bytes]:
        wait_until(lambda: up.has_ended("two", "bad_request"), HANDS_OVER)
        return said("one says")

    up.servers["one"].answer = one
    up.servers["two"].answer = lambda _: refused(400)

    reply = up.running.gateway.chat(Call(QUESTION))

    assert (reply.answer.text, attempts(reply)) == ("one says", [("one", "ok"), ("two", "bad_request")])
    assert up.calls()["three"] == 0


def test_no_more_than_the_share_of_requests_make_a_second_call(make: Make) -> None:
    with make(hedge_share=0.25) as up:
        served = []
        for number in range(1, 41):
            up.late()
            if number % 4:  # late as well, but nobody else may be asked
                up.servers["one"].answer = lambda _: said("yes")
            served.append(up.running.gateway.chat(Call(QUESTION)).target.provider)

        assert served == ["one", "one", "one", "two"] * 10
        assert up.calls() == {"one": 40, "two": 10, "three": 0}


def test_a_second_call_is_one_of_the_attempts_a_request_has(make: Make) -> None:
    with make(hedge_share=1.0, max_attempts=1) as up:
        up.known()
        assert attempts(up.running.gateway.chat(Call(QUESTION))) == [("one", "ok")]
        assert up.calls()["two"] == 0


def test_a_target_whose_breaker_is_open_is_not_asked_second(up: Upstreams) -> None:
    for name in ("two", "three"):
        up.running.gateway.breakers.observe(up.target(name), BadKey(), utc_now())
    up.known()

    assert attempts(up.running.gateway.chat(Call(QUESTION))) == [("one", "ok")]
    assert up.calls() == {"one": 1, "two": 0, "three": 0}


def test_a_request_that_names_a_model_is_answered_by_that_model_alone(up: Upstreams) -> None:
    up.known()

    reply = up.running.gateway.chat(Call(QUESTION, provider="one", model="m"))

    assert attempts(reply) == [("one", "ok")]
    assert up.calls() == {"one": 1, "two": 0, "three": 0}


def test_a_request_that_names_a_provider_is_hedged_within_it(make: Make) -> None:
    with make(hedge_share=1.0, models=2) as up:
        up.late()
        queueing, answering = up.servers["one"].answer, up.servers["two"].answer
        up.servers["one"].answer = lambda request: (queueing if request.json["model"] == "m" else answering)(request)

        reply = up.running.gateway.chat(Call(QUESTION, provider="one"))

        assert [(str(a.target), a.success) for a in reply.attempts] == [("one/m", False), ("one/n", True)]
        assert up.calls() == {"one": 2, "two": 0, "three": 0}


def test_a_request_that_explores_is_not_hedged(up: Upstreams) -> None:
    change(up.system, explorationRate=1)
    up.known(names=NAMES)

    replies = [up.running.gateway.chat(Call(QUESTION)) for _ in range(10)]

    assert all(reply.explored and len(reply.attempts) == 1 for reply in replies)
    assert sum(up.calls().values()) == 10


def test_what_a_loser_cost_counts_in_the_usage(up: Upstreams) -> None:
    up.late()
    reply = up.running.gateway.chat(Call(QUESTION))
    lost, won = ingested(up.system, 2)

    client = create_app(up.running).test_client()
    found = client.get("/api/v1/system/usage").get_json()["data"]["usage"]

    assert reply.cost_usd == pytest.approx(lost.cost_usd + won.cost_usd)
    (row,) = found
    assert row["promptTokens"] == lost.prompt_tokens + won.prompt_tokens
    assert (row["provider"], row["requests"]) == ("two", 1)
    assert row["costUsd"] == pytest.approx(lost.cost_usd + won.cost_usd)
    explained = client.get(f"/api/v1/requests/{reply.request_id}").get_json()["data"]
    assert [(a["provider"], a.get("error", {}).get("code")) for a in explained["attempts"]] == [
        ("one", "hedged"),
        ("two", None),
    ]
    assert explained["provider"] == "two"

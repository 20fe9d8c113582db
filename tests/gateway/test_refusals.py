"""One target's refusal under `auto`, over real HTTP: who is asked next, what is learned, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.domain.outcome import Outcome
from app.domain.routing.router import candidates_json
from app.errors import AllAttemptsFailed, BadRequest, ContextTooLong
from app.evidence import ingest
from app.gateway.gateway import Call
from app.gateway.lessons import Lessons, told
from app.live.live_config import utc_now
from app.providers.base import JsonSchema, Message
from app.providers.conversation import Image, Text
from app.store import database
from app.store.history import of_live
from app.store.models import LiveOutcome
from tests.gateway.test_gateway import QUESTION
from tests.providers.server import Received, whole
from tests.support.upstreams import Upstreams, attempts, said, streamed, upstreams
from tests.support.waiting import wait_until

PICTURE = (
    Message(
        "user",
        (
            Text("What is it?"),
            Image("data:image/png;base64,iVBORw0KGgo="),
        ),
    ),
)
NO_IMAGE = "Failed to deserialize: messages[0]: unknown variant `image_url`, expected `text`"
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
def up(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Upstreams]:
    with upstreams(database_url, redis_url, tmp_path) as running:
        yield running


def refuses(message: str, status: int = 400, **named: Any) -> Callable[[Received], Iterable[bytes]]:
    body = json.dumps({"error": {"message": message, **named}}).encode()
    return lambda _: whole(status, {"content-type": "application/json"}, body)


def ask(up: Upstreams, call: Call) -> list[tuple[str, str]]:
    return attempts(up.running.gateway.chat(call))


def test_an_image_goes_on_to_who_takes_it_and_the_next_one_there_at_once(up: Upstreams) -> None:
    up.servers["one"].answer = refuses(NO_IMAGE)

    assert ask(up, Call(PICTURE)) == [("one", "bad_request"), ("two", "ok")]
    assert ask(up, Call(PICTURE)) == [("two", "ok")]
    up.servers["one"].answer = lambda _: said("one says")
    assert ask(up, Call(QUESTION)) == [("one", "ok")]
    assert not up.running.gateway.breakers.value


def test_what_the_matrix_says_a_target_cannot_is_not_asked_of_it(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with upstreams(database_url, redis_url, tmp_path) as up:
        gateway = up.running.gateway
        endpoints = gateway.services.endpoints
        blind = replace(endpoints["one"].provider, capabilities=(("vision", False), ("max_output", 100)))
        services = replace(gateway.services, endpoints={**endpoints, "one": replace(endpoints["one"], provider=blind)})
        gateway.services = services

        assert ask(up, Call(PICTURE)) == [("two", "ok")]
        assert ask(up, Call(QUESTION, parameters={"max_tokens": 200})) == [("two", "ok")]
        assert ask(up, Call(QUESTION, parameters={"max_tokens": 100})) == [("one", "ok")]
        # who names it gets it: the matrix may be wrong
        assert ask(up, Call(PICTURE, provider="one")) == [("one", "ok")]
        for name in ("two", "three"):
            up.servers[name].answer = refuses("down", 500)
        with pytest.raises(AllAttemptsFailed, match="one/m: unsupported: this model takes no images"):
            ask(up, Call(PICTURE))
        assert not gateway.lessons.value


def test_a_stream_goes_on_too(up: Upstreams) -> None:
    up.servers["one"].answer = refuses(NO_IMAGE)
    up.servers["two"].answer = lambda _: streamed("a cat")

    stream = up.running.gateway.stream(Call(PICTURE))
    assert "".join(delta.text for delta in stream) == "a cat"
    assert attempts(stream) == [("one", "bad_request"), ("two", "ok")]


def test_explain_says_who_was_passed_over_and_why(up: Upstreams) -> None:
    up.servers["one"].answer = refuses(NO_IMAGE)
    ask(up, Call(PICTURE))
    gateway = up.running.gateway
    lesson = gateway.lessons.against(up.target("one"), frozenset({"vision"}), utc_now())

    assert lesson is not None
    assert str(lesson).startswith(
        "it refused vision that another target served: The provider refuses the request (HTTP 400)"
    )
    assert gateway.lessons.shown(utc_now()) == {"one/m": [str(lesson)]}
    assert gateway.lessons.shown(lesson.until) == {}


def test_all_processes_learn_and_forget(up: Upstreams) -> None:
    up.servers["one"].answer = refuses(NO_IMAGE)
    ask(up, Call(PICTURE))
    services = up.running.gateway.services
    wait_until(lambda: up.target("one") in told(services.redis))

    other = Lessons(services.redis, services.policy.gateway)
    other.refresh(services.redis)
    needs = frozenset({"vision"})
    lesson = other.against(up.target("one"), needs, utc_now())
    assert lesson is not None
    assert other.against(up.target("one"), needs, lesson.until) is None
    assert other.against(up.target("one"), frozenset(), utc_now()) is None


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_tokens": 16_000}, "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"),
        ({"tools": (TOOL,), "tool_choice": "f"}, "Thinking mode does not support this tool_choice"),
        ({"json_schema": JsonSchema("o", {"type": "object"})}, "Thinking mode does not support this tool_choice"),
        ({"temperature": 0.3}, "invalid temperature: only 1 is allowed for this model"),
        ({"reasoning_effort": "medium", "tools": (TOOL,)}, "Function tools with reasoning_effort are not supported"),
    ],
)
def test_a_lack_that_the_words_name_is_learned_at_once(up: Upstreams, parameters: Any, message: str) -> None:
    up.servers["one"].answer = refuses(message)

    assert ask(up, Call(QUESTION, parameters=parameters))[-1] == ("two", "ok")
    assert ask(up, Call(QUESTION, parameters=parameters)) == [("two", "ok")]
    up.servers["one"].answer = lambda _: said("one says")
    assert ask(up, Call(QUESTION)) == [("one", "ok")]


def test_who_refuses_everything_loses_its_place_after_some_and_nobody_notices(up: Upstreams) -> None:
    up.servers["one"].answer = refuses("something odd")

    seen = [ask(up, Call(QUESTION))[0] for _ in range(5)]
    assert seen == [("one", "bad_request")] * 3 + [("two", "ok")] * 2


def recorded(up: Upstreams, count: int) -> list[Outcome]:
    """All outcomes, when there are as many; then they are in the scorecard."""
    services = up.running.gateway.services

    def found() -> list[Outcome] | None:
        ingest.ingest(services)
        with database.transaction(services.sessions) as session:
            rows = session.scalars(select(LiveOutcome).order_by(LiveOutcome.at, LiveOutcome.attempt))
            outcomes = [of_live(row) for row in rows]
        return outcomes if len(outcomes) >= count else None

    return wait_until(found, 20, what="outcomes are ingested")


def success(up: Upstreams, name: str) -> float:
    gateway = up.running.gateway
    gateway.services.scorecard.refresh(gateway.services.redis)
    plan = gateway.plan(None, utc_now())
    return next(shown["evidence"]["success"] for shown in candidates_json(plan) if shown["provider"] == name)


@pytest.mark.parametrize("stream", [False, True])
def test_who_refuses_what_another_serves_is_ranked_by_it(up: Upstreams, stream: bool) -> None:
    up.servers["one"].answer = refuses("something odd")
    if stream:
        up.servers["two"].answer = lambda _: streamed("two says")

    for _ in range(3):
        if stream:
            list(up.running.gateway.stream(Call(QUESTION)))
        else:
            ask(up, Call(QUESTION))
    outcomes = recorded(up, 6)

    assert [(each.target.provider, each.error_class, each.counts) for each in outcomes] == [
        ("one", "bad_request", True),
        ("two", None, True),
    ] * 3
    assert (success(up, "one"), success(up, "two")) == (0.0, 1.0)
    assert not up.running.gateway.breakers.value
    # the lessons are forgotten, the score is not
    up.running.gateway.lessons.value = {}
    assert ask(up, Call(QUESTION)) == [("two", "ok")]


def test_what_nobody_serves_counts_against_nobody(up: Upstreams) -> None:
    up.servers["one"].answer = refuses("no")
    up.servers["two"].answer = refuses("no")
    for last in (refuses("no"), refuses("down", 500)):
        up.servers["three"].answer = last
        with pytest.raises((BadRequest, AllAttemptsFailed)):
            ask(up, Call(QUESTION))

    refused = [each for each in recorded(up, 6) if each.error_class == "bad_request"]
    assert [each.counts for each in refused] == [False] * 5


def test_a_context_too_small_is_no_fault(up: Upstreams) -> None:
    up.servers["one"].answer = refuses("This model's maximum context length is 10 tokens")

    assert ask(up, Call(QUESTION)) == [("one", "context_too_long"), ("two", "ok")]
    assert [each.counts for each in recorded(up, 2)] == [False, True]


def test_a_success_between_refusals_keeps_the_place(up: Upstreams) -> None:
    for _ in range(4):
        up.servers["one"].answer = refuses("something odd")
        assert ask(up, Call(QUESTION))[0] == ("one", "bad_request")
        up.servers["one"].answer = lambda _: said("one says")
        assert ask(up, Call(QUESTION))[0] == ("one", "ok")


def test_what_all_refuse_teaches_nothing_and_ends_with_the_most_telling_refusal(up: Upstreams) -> None:
    up.servers["one"].answer = refuses("Bad Request")
    up.servers["two"].answer = refuses(
        "Invalid schema for function 'f'", param="tools[0].function", code="invalid_schema"
    )
    up.servers["three"].answer = refuses("no")

    for _ in range(4):
        with pytest.raises(BadRequest, match="Invalid schema for function 'f'") as refusal:
            ask(up, Call(QUESTION))
        assert refusal.value.calls == 3
    assert not up.running.gateway.lessons.value


def test_too_long_for_all_is_what_the_caller_hears(up: Upstreams) -> None:
    up.servers["one"].answer = refuses("Bad Request")
    up.servers["two"].answer = refuses("This model's maximum context length is 10 tokens")
    up.servers["three"].answer = refuses("no")

    with pytest.raises(ContextTooLong):
        ask(up, Call(QUESTION))


def test_too_long_for_every_known_context_is_heard_without_a_call(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with upstreams(database_url, redis_url, tmp_path) as up:
        gateway = up.running.gateway
        small = {
            name: replace(each, provider=replace(each.provider, capabilities=(("context", 1),)))
            for name, each in gateway.services.endpoints.items()
        }
        gateway.services = replace(gateway.services, endpoints=small)

        with pytest.raises(ContextTooLong, match="does not fit its context of 1 tokens"):
            ask(up, Call((Message("user", "nine signs"),)))
        assert not any(up.calls().values())


def test_a_failure_among_refusals_is_no_refusal(up: Upstreams) -> None:
    up.servers["one"].answer = refuses("Bad Request")
    up.servers["two"].answer = refuses("down", 500)
    up.servers["three"].answer = refuses("no")

    with pytest.raises(AllAttemptsFailed):
        ask(up, Call(QUESTION))


def test_a_named_provider_gives_its_own_words_whatever_was_learned(up: Upstreams) -> None:
    up.servers["one"].answer = refuses(NO_IMAGE)
    ask(up, Call(PICTURE))

    with pytest.raises(BadRequest, match="unknown variant"):
        ask(up, Call(PICTURE, provider="one"))
    assert up.calls()["one"] == 2


def test_an_account_problem_needs_a_person_and_goes_on(up: Upstreams) -> None:
    up.servers["one"].answer = refuses(
        "Your organization must be verified to stream this model", code="unsupported_value"
    )

    assert ask(up, Call(QUESTION)) == [("one", "account_problem"), ("two", "ok")]
    assert up.running.gateway.breakers.is_open(up.target("one"), utc_now())


@pytest.mark.parametrize("code", ["tool_use_failed", "json_validate_failed"])
def test_a_failure_of_the_model_told_as_a_400_counts(up: Upstreams, code: str) -> None:
    up.servers["one"].answer = refuses("Failed", code=code, failed_generation="{")

    assert ask(up, Call(QUESTION, parameters={"tools": (TOOL,)})) == [("one", "unusable_answer"), ("two", "ok")]
    assert up.running.gateway.breakers.value[up.target("one")].failures == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": 400, "message": "no image input"}, "bad_request"),
        ({"code": "429", "message": "slow down"}, "rate_limited"),
        ({"code": 402, "message": "Insufficient credits"}, "out_of_credit"),
        ({"message": "too long", "code": "context_length_exceeded"}, "context_too_long"),
    ],
)
def test_an_error_inside_a_success_is_read_like_a_status(up: Upstreams, error: dict[str, Any], code: str) -> None:
    body = json.dumps({"error": error}).encode()
    up.servers["one"].answer = lambda _: whole(200, {"content-type": "application/json"}, body)

    assert ask(up, Call(QUESTION)) == [("one", code), ("two", "ok")]


def test_the_number_of_targets_that_may_refuse_is_bounded(database_url: str, redis_url: str, tmp_path: Path) -> None:
    with upstreams(database_url, redis_url, tmp_path, max_refusals=2) as up:
        for name in ("one", "two"):
            up.servers[name].answer = refuses("no")
        with pytest.raises(BadRequest):
            ask(up, Call(QUESTION))
        assert up.calls()["three"] == 0

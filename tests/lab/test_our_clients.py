"""The clients of app/providers against the lab: two readings of the same protocols, written apart, that must agree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from app import errors
from app.config_files import load_providers
from app.errors import (
    AccountProblem,
    BadKey,
    BadRequest,
    BeganDifferently,
    BeyondContext,
    ConnectionLost,
    ContentFiltered,
    ContextTooLong,
    Hedged,
    LimitSpent,
    LocalFailure,
    ModelUnknown,
    OutOfCredit,
    Overloaded,
    PassedOver,
    ProviderError,
    RateLimited,
    ServerError,
    StreamCut,
    Timeout,
    Unsupported,
    UnusableAnswer,
)
from app.lab.faults import Fault
from app.providers.base import ChatRequest, Endpoint, Finish, Message
from app.providers.client import Client, Pool
from app.providers.listing import list_models
from tests.providers.calls import ask
from tests.support.lab import CONFIG, SENTENCE, RunningLab

PROVIDERS = {provider.name: provider for provider in load_providers(CONFIG)}
EACH = pytest.mark.parametrize("name", sorted(PROVIDERS))
PLAIN_AND_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
ASKED = ChatRequest((Message("user", "Why is the sky blue?"),), max_tokens=200, temperature=0.7, top_p=0.9)


@pytest.fixture
def lab(shared_lab: RunningLab) -> RunningLab:
    return shared_lab


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(2) as made:
        yield made


def endpoint(lab: RunningLab, name: str) -> Endpoint:
    return Endpoint(replace(PROVIDERS[name], base_url=f"{lab.url}/{name}", cost_header="x-lab-cost"), "test-key")


def model(name: str) -> str:
    return PROVIDERS[name].models[0]


@EACH
@PLAIN_AND_STREAMED
def test_an_answer_is_read_whole(lab: RunningLab, pool: Pool, name: str, stream: bool) -> None:
    answer, deltas = ask(Client(pool), endpoint(lab, name), ASKED, stream=stream, model=model(name))
    seen = lab.last()
    assert (answer.text, answer.finish, answer.model) == (SENTENCE, Finish.STOP, model(name))
    assert "".join(delta.text for delta in deltas) == (SENTENCE if stream else "")
    assert (answer.usage.prompt, answer.usage.completion) == (seen["promptTokens"], seen["completionTokens"])
    assert answer.reported_cost_usd == pytest.approx(seen["costUsd"])


#: what a lab's fault means in our tree
CLASSES: dict[str, type[ProviderError]] = {
    "server_error": ServerError,
    "rate_limited": RateLimited,
    "overloaded": Overloaded,
    "out_of_credit": OutOfCredit,
    "bad_key": BadKey,
    "model_unknown": ModelUnknown,
    "context_too_long": ContextTooLong,
    "bad_request": BadRequest,
    "blocked": ContentFiltered,
    "empty": UnusableAnswer,
    "error_inside": Overloaded,  # by its name
    "timeout": Timeout,
    "cut": ConnectionLost,
    "filter": ContentFiltered,  # no error: the answer is marked, see below
}
NO_ERROR = {"filter"}
#: what differs by provider; None: Claude that says nothing has nothing to add
OTHERWISE: dict[tuple[str, str], type[ProviderError] | None] = {
    ("anthropic", "empty"): None,
}


def test_every_fault_of_the_lab_has_a_class_and_every_class_a_fault() -> None:
    assert set(CLASSES) == {fault.value for fault in Fault}
    reached = {*CLASSES.values(), StreamCut, LimitSpent, AccountProblem}
    told = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ProviderError)}
    # our own network is not the lab's to break, nor is it asked for what a target cannot do; the gateway stops calls
    assert told - reached == {
        ProviderError,
        LocalFailure,
        Unsupported,
        BeyondContext,
        PassedOver,
        Hedged,
        BeganDifferently,
    }


@EACH
@PLAIN_AND_STREAMED
@pytest.mark.parametrize("kind", sorted(set(CLASSES) - NO_ERROR))
def test_a_failure_is_told_apart_from_the_others(
    lab: RunningLab, pool: Pool, name: str, kind: str, stream: bool
) -> None:
    lab.set(name, error_rate=1, error_kind=kind)
    timeout_ms = 300 if kind == "timeout" else 20_000
    expected = OTHERWISE.get((name, kind), StreamCut if stream and kind == "cut" else CLASSES[kind])
    if expected is None:
        answer, _ = ask(Client(pool), endpoint(lab, name), ASKED, stream=stream, model=model(name))
        assert (answer.text, answer.finish) == ("", Finish.STOP)
        return
    with pytest.raises(ProviderError) as failed:
        ask(Client(pool), endpoint(lab, name), ASKED, stream=stream, model=model(name), timeout_ms=timeout_ms)
    assert type(failed.value) is expected
    assert failed.value.retry_after_s == (2.0 if kind == "rate_limited" else None)


@EACH
@PLAIN_AND_STREAMED
def test_a_tool_the_model_chose_is_called(lab: RunningLab, pool: Pool, name: str, stream: bool) -> None:
    lab.set(name, tool_rate=1, tokens_per_s=500)
    offering = replace(ASKED, tools=(WEATHER,))
    client, target = Client(pool), endpoint(lab, name)
    answer, _ = ask(client, target, offering, stream=stream, model=model(name))
    assert answer.finish is Finish.TOOL
    assert [(call.name, json.loads(call.arguments)) for call in answer.tool_calls] == [("weather", {"city": "example"})]
    call = answer.tool_calls[0]
    results = (
        Message("assistant", answer.text, tool_calls=answer.tool_calls),
        Message("tool", '{"sky": "grey"}', tool_call_id=call.id),
    )
    after, _ = ask(
        client, target, replace(offering, messages=offering.messages + results), stream=stream, model=model(name)
    )
    assert (after.text, after.finish) == (SENTENCE, Finish.STOP)


@EACH
@PLAIN_AND_STREAMED
def test_thoughts_are_kept_apart_and_counted(lab: RunningLab, pool: Pool, name: str, stream: bool) -> None:
    lab.set(name, reasoning_tokens=20)
    answer, deltas = ask(Client(pool), endpoint(lab, name), ASKED, stream=stream, model=model(name))
    assert answer.text == SENTENCE
    # OpenAI and Gemini show none unasked; Anthropic counts them with the rest
    assert answer.reasoning.startswith("This is a simulated thought" if name in ("deepseek", "anthropic") else "")
    assert bool(answer.reasoning) is (name in ("deepseek", "anthropic"))
    assert answer.usage.reasoning == (0 if name == "anthropic" else 20)
    assert answer.usage.completion == lab.last()["completionTokens"]
    if stream:
        assert "".join(delta.reasoning for delta in deltas) == answer.reasoning


@EACH
@PLAIN_AND_STREAMED
def test_limit_cuts_the_answer_and_may_leave_nothing_of_it(
    lab: RunningLab, pool: Pool, name: str, stream: bool
) -> None:
    client, target = Client(pool), endpoint(lab, name)
    answer, _ = ask(client, target, replace(ASKED, max_tokens=4), stream=stream, model=model(name))
    assert answer.finish is Finish.LENGTH
    assert SENTENCE.startswith(answer.text)
    assert answer.text != SENTENCE
    lab.set(name, reasoning_tokens=20)
    with pytest.raises(LimitSpent, match=r"limit of 20 was spent.*raise max_tokens"):
        ask(client, target, replace(ASKED, max_tokens=20), stream=stream, model=model(name))


@EACH
@PLAIN_AND_STREAMED
def test_answer_the_filter_stopped_is_marked(lab: RunningLab, pool: Pool, name: str, stream: bool) -> None:
    lab.set(name, error_rate=1, error_kind="filter")
    answer, _ = ask(Client(pool), endpoint(lab, name), ASKED, stream=stream, model=model(name))
    assert answer.finish is Finish.FILTER
    assert SENTENCE.startswith(answer.text)
    assert answer.text != SENTENCE


@EACH
def test_a_stream_that_is_cut_in_the_middle_is_no_answer(lab: RunningLab, pool: Pool, name: str) -> None:
    lab.set(name, error_rate=1, error_kind="cut", tokens_per_s=1000)
    stream = Client(pool).stream(endpoint(lab, name), model(name), ASKED, timeout_ms=20_000)
    with pytest.raises(StreamCut):
        list(stream)


@EACH
def test_models_are_listed(lab: RunningLab, pool: Pool, name: str) -> None:
    listing = list_models(pool, endpoint(lab, name), timeout_ms=20_000)
    assert listing.models == (*PROVIDERS[name].models, *dict(PROVIDERS[name].embeddings).values())
    assert listing.clock_ahead_s is not None

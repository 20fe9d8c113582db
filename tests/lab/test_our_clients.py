"""The clients of app/providers against the lab: two readings of the same protocols, written apart, that must agree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
import urllib3

from app.config_files import load_providers
from app.errors import ProviderError
from app.providers.base import Answer, ChatRequest, Endpoint, Finish, Message
from app.providers.client import Client, new_pool
from tests.support.lab import CONFIG, SENTENCE, RunningLab

PROVIDERS = {provider.name: provider for provider in load_providers(CONFIG)}
EACH = pytest.mark.parametrize("name", sorted(PROVIDERS))
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ASKED = ChatRequest((Message("user", "Why is the sky blue?"),), max_tokens=200, temperature=0.7, top_p=0.9)


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    with new_pool(2) as made:
        yield made


def endpoint(lab: RunningLab, name: str) -> Endpoint:
    return Endpoint(replace(PROVIDERS[name], base_url=f"{lab.url}/{name}", cost_header="x-lab-cost"), "test-key")


def ask(client: Client, called: Endpoint, request: ChatRequest, *, stream: bool) -> Answer:
    model = called.provider.models[0]
    if not stream:
        return client.complete(called, model, request, timeout_ms=5000)
    with client.stream(called, model, request, timeout_ms=5000) as pieces:
        text = "".join(piece.text for piece in pieces)
    assert text == pieces.answer.text
    return pieces.answer


@EACH
@STREAMED
def test_an_answer_is_read_whole(lab: RunningLab, pool: urllib3.PoolManager, name: str, stream: bool) -> None:
    model = PROVIDERS[name].models[0]
    answer = ask(Client(pool), endpoint(lab, name), ASKED, stream=stream)
    seen = lab.last()
    assert (answer.text, answer.finish, answer.model) == (SENTENCE, Finish.STOP, model)
    assert (answer.usage.prompt, answer.usage.completion) == (seen["promptTokens"], seen["completionTokens"])
    assert answer.reported_cost_usd == pytest.approx(seen["costUsd"])


@EACH
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("server_error", "server_error"),
        ("rate_limited", "rate_limited"),
        ("overloaded", "overloaded"),
        ("timeout", "timeout"),
        ("out_of_credit", "out_of_credit"),
        ("bad_key", "bad_key"),
        ("empty", "unusable_answer"),
        ("filtered", "content_filtered"),
        ("context_too_long", "context_too_long"),
        ("cut", "connection_lost"),
    ],
)
def test_a_failure_is_told_apart_from_the_others(
    lab: RunningLab, pool: urllib3.PoolManager, name: str, kind: str, code: str
) -> None:
    lab.set(name, error_rate=1, error_kind=kind)
    with pytest.raises(ProviderError) as failed:
        Client(pool).complete(
            endpoint(lab, name), PROVIDERS[name].models[0], ASKED, timeout_ms=400 if kind == "timeout" else 5000
        )
    assert failed.value.code == code
    assert failed.value.retry_after_s == (2.0 if kind == "rate_limited" else None)


@EACH
def test_a_request_that_is_wrong_is_the_callers_mistake(lab: RunningLab, pool: urllib3.PoolManager, name: str) -> None:
    wrong = ChatRequest((Message("user", "Hello"),), max_tokens=-1)
    with pytest.raises(ProviderError) as failed:
        Client(pool).complete(endpoint(lab, name), PROVIDERS[name].models[0], wrong, timeout_ms=5000)
    assert (failed.value.code, failed.value.counts) == ("bad_request", False)


@EACH
def test_a_model_it_does_not_have_is_said_to_be_unknown(lab: RunningLab, pool: urllib3.PoolManager, name: str) -> None:
    with pytest.raises(ProviderError) as failed:
        Client(pool).complete(endpoint(lab, name), "no-such-model", ASKED, timeout_ms=5000)
    assert failed.value.code == "model_unknown"


@EACH
@STREAMED
def test_a_tool_call_is_read_whole(lab: RunningLab, pool: urllib3.PoolManager, name: str, stream: bool) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
    asked = replace(ASKED, tools=(tool,), tool_choice="required")
    answer = ask(Client(pool), endpoint(lab, name), asked, stream=stream)
    (call,) = answer.tool_calls
    assert answer.finish is Finish.TOOL
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "example"})


@EACH
@STREAMED
def test_a_token_limit_ends_an_answer(lab: RunningLab, pool: urllib3.PoolManager, name: str, stream: bool) -> None:
    answer = ask(Client(pool), endpoint(lab, name), replace(ASKED, max_tokens=4), stream=stream)
    assert answer.finish is Finish.LENGTH
    assert SENTENCE.startswith(answer.text)
    assert answer.usage.completion == 4


@EACH
@STREAMED
def test_thoughts_are_counted_and_kept_apart(
    lab: RunningLab, pool: urllib3.PoolManager, name: str, stream: bool
) -> None:
    lab.set(name, reasoning_tokens=30)
    answer = ask(Client(pool), endpoint(lab, name), ASKED, stream=stream)
    seen = lab.last()
    assert answer.text == SENTENCE
    assert answer.usage.completion == seen["completionTokens"] > 30
    # Anthropic does not say how many of its tokens were thoughts
    assert answer.usage.reasoning == (0 if name == "anthropic" else 30)
    # only DeepSeek shows them unasked
    assert bool(answer.reasoning) is (name == "deepseek")
    assert answer.reported_cost_usd == pytest.approx(seen["costUsd"])


@EACH
@STREAMED
def test_a_limit_spent_on_thoughts_is_no_answer(
    lab: RunningLab, pool: urllib3.PoolManager, name: str, stream: bool
) -> None:
    lab.set(name, reasoning_tokens=300)
    with pytest.raises(ProviderError) as failed:
        ask(Client(pool), endpoint(lab, name), ASKED, stream=stream)
    assert failed.value.code == "unusable_answer"
    assert "raise max_tokens" in str(failed.value)


@EACH
def test_a_stream_that_is_cut_is_no_answer(lab: RunningLab, pool: urllib3.PoolManager, name: str) -> None:
    lab.set(name, error_rate=1, error_kind="cut", tokens_per_s=1000)
    stream = Client(pool).stream(endpoint(lab, name), PROVIDERS[name].models[0], ASKED, timeout_ms=5000)
    with pytest.raises(ProviderError) as failed:
        list(stream)
    assert failed.value.code == "stream_cut"

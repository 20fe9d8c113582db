"""The clients of app/providers against the lab: two readings of the same protocols, written apart, that must agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import urllib3

from app.config_files import load_providers
from app.errors import ProviderError
from app.providers.base import ChatRequest, Endpoint, Finish, Message
from app.providers.client import Client, new_pool
from tests.support.lab import CONFIG, SENTENCE, RunningLab

PROVIDERS = {provider.name: provider for provider in load_providers(CONFIG)}
EACH = pytest.mark.parametrize("name", sorted(PROVIDERS))
ASKED = ChatRequest((Message("user", "Why is the sky blue?"),), max_tokens=200, temperature=0.7, top_p=0.9)


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    with new_pool(2) as made:
        yield made


def endpoint(lab: RunningLab, name: str) -> Endpoint:
    return Endpoint(replace(PROVIDERS[name], base_url=f"{lab.url}/{name}", cost_header="x-lab-cost"), "test-key")


@EACH
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_an_answer_is_read_whole(lab: RunningLab, pool: urllib3.PoolManager, name: str, stream: bool) -> None:
    called, model = endpoint(lab, name), PROVIDERS[name].models[0]
    if stream:
        with Client(pool).stream(called, model, ASKED, timeout_ms=5000) as pieces:
            assert "".join(piece.text for piece in pieces) == SENTENCE
        answer = pieces.answer
    else:
        answer = Client(pool).complete(called, model, ASKED, timeout_ms=5000)
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
    ],
)
def test_a_failure_is_told_apart_from_the_others(
    lab: RunningLab, pool: urllib3.PoolManager, name: str, kind: str, code: str
) -> None:
    lab.set(name, error_rate=1, error_kind=kind)
    with pytest.raises(ProviderError) as failed:
        Client(pool).complete(endpoint(lab, name), PROVIDERS[name].models[0], ASKED, timeout_ms=400)
    assert failed.value.code == code
    assert failed.value.retry_after_s == (2.0 if kind == "rate_limited" else None)


@EACH
def test_a_stream_that_is_cut_is_no_answer(lab: RunningLab, pool: urllib3.PoolManager, name: str) -> None:
    lab.set(name, error_rate=1, error_kind="cut", tokens_per_s=1000)
    stream = Client(pool).stream(endpoint(lab, name), PROVIDERS[name].models[0], ASKED, timeout_ms=5000)
    with pytest.raises(ProviderError) as failed:
        list(stream)
    assert failed.value.code == "stream_cut"

"""/v1 when providers fail and clients go away, as the official `openai` SDK sees it."""

from __future__ import annotations

import json
import socket
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support.front import PROVIDERS, Served
from tests.support.lab import SENTENCE
from tests.support.waiting import wait_until

ASK: list[Any] = [{"role": "user", "content": "What is a mutex?"}]


@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_before_the_first_token_is_invisible(client: OpenAI, api: Served, stream: bool) -> None:
    api.lab.set("deepseek", error_rate=1, error_kind="overloaded")

    raw = client.chat.completions.with_raw_response.create(model="auto", messages=ASK, stream=stream)

    assert raw.headers["x-tooloo-attempts"] == "2"
    assert raw.headers["x-tooloo-target"].startswith("gemini/")
    if stream:
        said = "".join(chunk.choices[0].delta.content or "" for chunk in raw.parse())  # type: ignore[union-attr]  # it is the stream that was asked for
        assert said == SENTENCE


def test_a_stream_cut_on_the_way_goes_on_where_another_target_says_the_same(client: OpenAI, api: Served) -> None:
    api.lab.set("deepseek", error_rate=1, error_kind="cut")

    chunks = list(client.chat.completions.create(model="auto", messages=ASK, stream=True))

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == SENTENCE
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert [chunk.model.partition("/")[0] for chunk in (chunks[0], chunks[-1])] == ["deepseek", "gemini"]


def test_a_stream_cut_on_the_way_ends_with_an_error_and_counts(client: OpenAI, api: Served) -> None:
    api.lab.set("deepseek", error_rate=1, error_kind="cut")
    target = api.running.gateway.services.targets[0]
    said: list[str] = []

    def read() -> None:
        stream = client.chat.completions.create(model="deepseek", messages=ASK, stream=True)
        said.extend(chunk.choices[0].delta.content or "" for chunk in stream)

    with pytest.raises(openai.APIError) as failure:
        read()

    assert failure.value.code == "stream_cut"
    assert SENTENCE.startswith("".join(said))
    assert "".join(said)
    assert api.running.gateway.breakers.value[target].failures == 2  # once more by itself


def test_when_all_are_rate_limited_the_client_learns_when_to_come_back(client: OpenAI, api: Served) -> None:
    for name in PROVIDERS:
        api.lab.set(name, error_rate=1, error_kind="rate_limited")

    with pytest.raises(openai.RateLimitError) as failure:
        client.chat.completions.create(model="auto", messages=ASK, stream=True)

    assert failure.value.code == "rate_limit_exceeded"
    assert failure.value.response.headers["x-tooloo-attempts"] == "5"  # the preferred one was waited for


def test_when_all_fail_the_client_gets_a_server_error_that_says_why(client: OpenAI, api: Served) -> None:
    for name in PROVIDERS:
        api.lab.set(name, error_rate=1, error_kind="server_error")

    with pytest.raises(openai.InternalServerError) as failure:
        client.chat.completions.create(model="auto", messages=ASK)

    assert failure.value.code == "all_attempts_failed"
    assert all(name in failure.value.message for name in PROVIDERS)


def test_a_client_that_goes_away_stops_the_call(api: Served, client: OpenAI) -> None:
    api.lab.set("deepseek", latency=10, tokens_per_s=5)  # would take seconds
    body = json.dumps({"model": "deepseek", "messages": ASK, "stream": True}).encode()
    port = int(api.url.rsplit(":", 1)[1])
    metrics = api.running.gateway.metrics
    with socket.create_connection(("127.0.0.1", port)) as caller:
        caller.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        assert b"200" in caller.recv(100)

    wait_until(lambda: b'outcome="client_gone"' in metrics.render(lambda: iter(())), what="the call is stopped")
    assert api.running.gateway.breakers.value.get(api.running.gateway.services.targets[0]) is None

"""/v1/responses when providers fail: seen before the first event, and after."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import requests
from openai import OpenAI

from tests.support import response_types
from tests.support.front import PROVIDERS, Served
from tests.support.lab import SENTENCE
from tests.support.recording import Recording, recording
from tests.support.served import served as served_api
from tests.support.upstreams import END, upstreams


def streamed(api: Served, model: str = "auto", **headers: str) -> tuple[requests.Response, list[Any]]:
    body = {"model": model, "input": "What is a mutex?", "stream": True, "store": False}
    response = requests.post(f"{api.url}/v1/responses", json=body, headers=headers, timeout=30)
    assert response.status_code == 200, response.text
    return response, response_types.sequence(response.content.decode())


@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_before_the_first_token_is_invisible(client: OpenAI, api: Served, stream: bool) -> None:
    api.lab.set("deepseek", error_rate=1, error_kind="overloaded")

    raw = client.responses.with_raw_response.create(model="auto", input="What is a mutex?", stream=stream)

    assert raw.headers["x-tooloo-attempts"] == "2"
    assert raw.headers["x-tooloo-target"].startswith("gemini/")


def test_a_stream_cut_on_the_way_goes_on_where_another_target_says_the_same(api: Served, client: OpenAI) -> None:
    api.lab.set("deepseek", error_rate=1, error_kind="cut")

    _, events = streamed(api)

    final = events[-1]["response"]
    assert (events[-1]["type"], final["output"][0]["content"][0]["text"]) == ("response.completed", SENTENCE)
    assert [each["response"]["model"].split("/")[0] for each in (events[0], events[-1])] == ["deepseek", "gemini"]


def test_a_stream_cut_on_the_way_ends_as_failed(api: Served, client: OpenAI) -> None:
    api.lab.set("deepseek", error_rate=1, error_kind="cut")

    _, events = streamed(api, "deepseek")

    final = response_types.response(events[-1]["response"])
    assert (events[-1]["type"], final["status"]) == ("response.failed", "failed")
    assert (final["error"]["code"], final["tooloo"]["code"]) == ("server_error", "stream_cut")
    assert final["error"]["message"]
    assert final["store"] is False


def test_whole_answers_fall_over_unseen(api: Served, client: OpenAI) -> None:
    api.lab.set("deepseek", error_rate=1, error_kind="cut")

    _, events = streamed(api, **{"x-tooloo-whole-answers": "true"})

    assert events[-1]["response"]["model"].startswith("gemini/")
    assert events[0]["response"]["model"].startswith("gemini/")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [
        ("rate_limited", openai.RateLimitError, "rate_limit_exceeded"),
        ("server_error", openai.InternalServerError, "all_attempts_failed"),
    ],
)
def test_when_all_fail_the_sdk_raises_what_it_would_raise_there(
    client: OpenAI, api: Served, kind: str, error: type[openai.APIStatusError], code: str, stream: bool
) -> None:
    for name in PROVIDERS:
        api.lab.set(name, error_rate=1, error_kind=kind)

    with pytest.raises(error) as failure:
        client.responses.create(model="auto", input="What is a mutex?", stream=stream)

    assert failure.value.code == code
    assert failure.value.response.headers["x-tooloo-request-id"].startswith("req-")


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    with recording(tmp_path_factory.mktemp("recorded")) as made:
        yield made


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_a_part_of_its_own(front: Recording, stream: bool) -> None:
    if stream:
        deltas: list[Any] = [{"content": "Well. "}, {"refusal": "I will "}, {"refusal": "not."}]
        pieces = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
        front.stream("openai", [*(b"data: %b\n\n" % json.dumps(each).encode() for each in pieces), *END])
    else:
        message = {"role": "assistant", "content": "Well. ", "refusal": "I will not."}
        front.answer("openai", {"choices": [{"message": message, "finish_reason": "stop"}]})
    body = {"model": "openai/gpt-4.1-mini", "input": "hi", "stream": stream, "store": False}

    response = requests.post(f"{front.url}/v1/responses", json=body, timeout=30)

    document = response_types.sequence(response.text)[-1]["response"] if stream else response.json()
    assert [part["type"] for part in document["output"][0]["content"]] == ["output_text", "refusal"]
    assert document["output"][0]["content"][1]["refusal"] == "I will not."
    again = {
        "model": "openai/gpt-4.1-mini",
        "store": False,
        "input": [*document["output"], {"role": "user", "content": "?"}],
    }
    front.servers["openai"].received.clear()
    assert requests.post(f"{front.url}/v1/responses", json=again, timeout=30).status_code == 200
    assert front.servers["openai"].received[0].json["messages"][0]["refusal"] == "I will not."


def test_who_waits_before_anybody_begins_gets_comments_and_then_an_error_event(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with upstreams(database_url, redis_url, tmp_path, heartbeat_ms=50, first_token_ms=400, retry_ms=1) as three:
        for server in three.servers.values():
            server.answer = lambda _, server=server: server.silence()  # type: ignore[misc]  # of its own server
        with served_api(three.system) as url:
            body = {"model": "auto", "input": "hi", "stream": True, "store": False}
            response = requests.post(f"{url}/v1/responses", json=body, timeout=30)
            with OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client, pytest.raises(openai.APIError):
                list(client.responses.create(model="auto", input="hi", stream=True, store=False))

    assert response.status_code == 200
    assert response.text.startswith(": waiting\n\n")
    (error,) = response_types.sequence(response.text)
    assert (error["type"], error["code"], error["sequence_number"]) == ("error", "timeout", 0)

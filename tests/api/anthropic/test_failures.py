"""/v1/messages when providers fail, as the official `anthropic` SDK sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic

from app.api import create_app
from tests.api.anthropic.front import events_of
from tests.providers.server import chunked
from tests.support.front import PROVIDERS, Served
from tests.support.lab import SENTENCE
from tests.support.upstreams import END, piece, upstreams

ASK: list[Any] = [{"role": "user", "content": "What is a mutex?"}]
ASKED: dict[str, Any] = {"model": "auto", "max_tokens": 100, "messages": ASK}


@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_before_the_first_token_is_invisible(client: Anthropic, api: Served, stream: bool) -> None:
    api.lab.set("deepseek", error_rate=1, error_kind="overloaded")

    raw = client.messages.with_raw_response.create(**ASKED, stream=stream)

    assert raw.headers["x-tooloo-attempts"] == "2"
    assert raw.headers["x-tooloo-target"].startswith("gemini/")


def test_a_stream_cut_on_the_way_goes_on_where_another_target_says_the_same(client: Anthropic, api: Served) -> None:
    api.lab.set("deepseek", error_rate=1, error_kind="cut")

    with client.messages.stream(**ASKED) as stream:
        message = stream.get_final_message()

    (block,) = message.content
    assert block.text == SENTENCE  # type: ignore[union-attr]  # of a text
    assert message.stop_reason == "end_turn"


def test_a_stream_cut_on_the_way_ends_with_an_error(client: Anthropic, api: Served) -> None:
    api.lab.set("deepseek", error_rate=1, error_kind="cut")
    said: list[str] = []

    def listen() -> None:
        with client.messages.stream(**ASKED | {"model": "deepseek"}) as stream:
            said.extend(stream.text_stream)

    with pytest.raises(anthropic.APIStatusError) as failure:
        listen()

    body: Any = failure.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "api_error")
    assert SENTENCE.startswith("".join(said))
    assert said


@pytest.mark.parametrize(
    ("kind", "raised", "status", "name"),
    [
        ("rate_limited", anthropic.RateLimitError, 429, "rate_limit_error"),
        ("overloaded", anthropic.APIStatusError, 529, "overloaded_error"),
        ("server_error", anthropic.InternalServerError, 500, "api_error"),
        ("context_too_long", anthropic.BadRequestError, 400, "invalid_request_error"),
        ("bad_request", anthropic.BadRequestError, 400, "invalid_request_error"),
        ("bad_key", anthropic.InternalServerError, 500, "api_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_all_failed_with_is_anthropics_error(
    client: Anthropic, api: Served, kind: str, raised: Any, status: int, name: str, stream: bool
) -> None:
    for provider in PROVIDERS:
        api.lab.set(provider, error_rate=1, error_kind=kind)

    with pytest.raises(raised) as failure:
        client.messages.create(**ASKED, stream=stream)

    error = failure.value
    assert (error.status_code, error.body["error"]["type"]) == (status, name)
    assert error.request_id == error.body["request_id"] == error.response.headers["x-tooloo-request-id"]
    assert int(error.response.headers["x-tooloo-attempts"]) >= 2
    assert ("retry-after" in error.response.headers) is (kind == "rate_limited")


def test_pings_keep_the_line_alive(database_url: str, redis_url: str, tmp_path: Path) -> None:
    with upstreams(database_url, redis_url, tmp_path, heartbeat_ms=50) as three:
        server = three.servers["one"]
        waits = server.trickle(b": wait\n\n", every_s=0.2, times=3)
        server.answer = lambda _: chunked(part for parts in (waits, [piece("so"), *END]) for part in parts)
        client = create_app(three.running).test_client()
        response = client.post("/v1/messages", json=ASKED | {"model": "one", "stream": True})
        kinds = [kind for kind, _ in events_of(response.text)]

    assert kinds[0] == "ping"
    assert [kind for kind in kinds if kind != "ping"] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_whole_answers_show_no_failure(client: Anthropic, api: Served) -> None:
    leader = client.messages.with_raw_response.create(**ASKED).headers["x-tooloo-target"]
    api.lab.set(leader.split("/")[0], error_rate=1, error_kind="cut")

    raw = client.messages.with_raw_response.create(
        **ASKED, stream=True, extra_headers={"x-tooloo-whole-answers": "true"}
    )

    assert raw.headers["x-tooloo-target"] != leader
    assert raw.headers["x-tooloo-attempts"] == "2"

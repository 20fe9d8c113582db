"""OpenAI chat completions as the lab speaks them, over a real socket."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from tests.lab.calls import DEEPSEEK, OPENAI, QUESTION, Api, events
from tests.support.lab import SENTENCE, RunningLab

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}},
            "required": ["city", "days"],
        },
    },
}
BOTH = pytest.mark.parametrize("api", [OPENAI, DEEPSEEK], ids=lambda api: api.name)


@BOTH
def test_a_plain_answer_holds_text_finish_and_usage(lab: RunningLab, api: Api) -> None:
    answer = api.call(lab)
    body = answer.json()
    choice = body["choices"][0]
    assert answer.status_code == 200
    assert (body["object"], body["model"]) == ("chat.completion", api.body["model"])
    assert choice["message"]["content"] == SENTENCE
    assert choice["finish_reason"] == "stop"
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > usage["prompt_tokens"] > 0


@BOTH
def test_a_stream_is_the_same_text_in_pieces(lab: RunningLab, api: Api) -> None:
    lab.set(api.name, tokens_per_s=200)
    answer = api.call(lab, stream=True)
    *chunks, done = events(answer)
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert done == "[DONE]"
    pieces = [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks]
    assert "".join(pieces) == SENTENCE
    assert len(pieces) > 5
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks][-1] == "stop"
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_openai_streams_usage_only_where_asked(lab: RunningLab) -> None:
    silent = events(OPENAI.call(lab, stream=True))[:-1]
    asked = events(OPENAI.call(lab, stream=True, stream_options={"include_usage": True}))[:-1]
    assert all("usage" not in chunk for chunk in silent)
    assert asked[-1]["choices"] == []
    assert asked[-1]["usage"]["completion_tokens"] > 0
    assert all(chunk["usage"] is None for chunk in asked[:-1])


def test_deepseek_streams_usage_unasked_with_the_last_piece(lab: RunningLab) -> None:
    last = events(DEEPSEEK.call(lab, stream=True))[-2]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["usage"]["prompt_cache_miss_tokens"] == last["usage"]["prompt_tokens"]


def test_deepseek_keeps_a_slow_stream_alive_with_comments(lab: RunningLab) -> None:
    lab.set("deepseek", latency=1001)
    assert DEEPSEEK.call(lab, stream=True).text.startswith(": keep-alive\n\ndata: ")


@pytest.mark.parametrize("key", ["max_tokens", "max_completion_tokens"])
def test_max_tokens_cuts_the_answer(lab: RunningLab, key: str) -> None:
    limit: dict[str, Any] = {key: 4}
    body = OPENAI.call(lab, **limit).json()
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 4
    text = body["choices"][0]["message"]["content"]
    assert SENTENCE.startswith(text)
    assert text != SENTENCE


def test_a_stop_sequence_ends_the_answer_before_it(lab: RunningLab) -> None:
    choice = OPENAI.call(lab, stop=["forty", "!"]).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Olá", "stop")


@BOTH
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_a_required_tool_is_called_with_fitting_arguments(lab: RunningLab, api: Api, choice: object) -> None:
    answer = api.call(lab, tools=[WEATHER], tool_choice=choice).json()["choices"][0]
    (call,) = answer["message"]["tool_calls"]
    assert answer["finish_reason"] == "tool_calls"
    assert answer["message"]["content"] is None
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "example", "days": 3}


def test_a_streamed_tool_call_gives_its_arguments_in_pieces(lab: RunningLab) -> None:
    lab.set("openai", tokens_per_s=200)
    chunks = events(OPENAI.call(lab, stream=True, tools=[WEATHER], tool_choice="required"))[:-1]
    calls = [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", [])]
    assert calls[0]["function"]["name"] == "weather"
    assert calls[0]["id"]
    assert json.loads("".join(call["function"]["arguments"] for call in calls)) == {"city": "example", "days": 3}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_tools_without_need_are_answered_with_text(lab: RunningLab) -> None:
    assert OPENAI.call(lab, tools=[WEATHER]).json()["choices"][0]["message"]["content"] == SENTENCE


def test_json_mode_gives_json(lab: RunningLab) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    asked = [{"role": "user", "content": "Answer in JSON."}]
    free = OPENAI.call(lab, response_format={"type": "json_object"}, messages=asked).json()["choices"][0]["message"][
        "content"
    ]
    strict = OPENAI.call(lab, response_format=wanted).json()["choices"][0]["message"]["content"]
    assert json.loads(free) == {"answer": SENTENCE}
    assert json.loads(strict) == {"ok": True}


def test_deepseek_has_no_json_schema(lab: RunningLab) -> None:
    refused = DEEPSEEK.call(lab, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {}}})
    assert refused.status_code == 400
    assert "This response_format type is unavailable now" in refused.json()["error"]["message"]


@BOTH
def test_models_are_listed(lab: RunningLab, api: Api) -> None:
    listed = requests.get(f"{lab.url}/{api.name}/models", headers=dict(api.headers), timeout=5).json()
    embeddings = ["text-embedding-3-small", "text-embedding-3-large"] if api is OPENAI else []
    assert [model["id"] for model in listed["data"]] == [api.body["model"], *embeddings]


def test_parts_of_a_message_are_read_as_one_text(lab: RunningLab) -> None:
    parts = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts}]
    assert OPENAI.call(lab, messages=messages).status_code == 200
    assert lab.last()["prompt"] == QUESTION

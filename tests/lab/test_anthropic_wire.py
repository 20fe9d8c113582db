"""Anthropic Messages as the lab speaks them, over a real socket."""

from __future__ import annotations

import json

import pytest
import requests

from tests.lab.calls import ANTHROPIC, events
from tests.support.lab import SENTENCE, RunningLab

WEATHER = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


def test_a_plain_answer_holds_text_stop_reason_and_usage(lab: RunningLab) -> None:
    answer = ANTHROPIC.call(lab, system="Be brief.")
    body = answer.json()
    assert body["content"] == [{"type": "text", "text": SENTENCE}]
    assert (body["stop_reason"], body["stop_sequence"]) == ("end_turn", None)
    assert body["usage"]["input_tokens"] > 0
    assert body["usage"]["output_tokens"] > 0
    assert answer.headers["request-id"].startswith("req_")


def test_a_stream_tells_its_story_in_order(lab: RunningLab) -> None:
    lab.set("anthropic", tokens_per_s=200)
    told = events(ANTHROPIC.call(lab, stream=True))
    kinds = [event["type"] for event in told]
    deltas = [event["delta"]["text"] for event in told if event["type"] == "content_block_delta"]
    assert kinds[:3] == ["message_start", "content_block_start", "ping"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert "".join(deltas) == SENTENCE
    assert len(deltas) > 5
    assert told[-2]["delta"]["stop_reason"] == "end_turn"
    assert told[-2]["usage"]["output_tokens"] > told[0]["message"]["usage"]["output_tokens"]


def test_every_data_line_of_a_stream_has_its_event_line(lab: RunningLab) -> None:
    blocks = ANTHROPIC.call(lab, stream=True).content.decode().strip().split("\n\n")
    for block, event in zip(blocks, events(ANTHROPIC.call(lab, stream=True)), strict=True):
        assert block.split("\n")[0] == f"event: {event['type']}"


def test_max_tokens_cuts_the_answer(lab: RunningLab) -> None:
    body = ANTHROPIC.call(lab, max_tokens=3).json()
    assert (body["stop_reason"], body["usage"]["output_tokens"]) == ("max_tokens", 3)


def test_a_stop_sequence_is_named(lab: RunningLab) -> None:
    body = ANTHROPIC.call(lab, stop_sequences=["!"]).json()
    assert body["content"][0]["text"] == "Olá"
    assert (body["stop_reason"], body["stop_sequence"]) == ("stop_sequence", "!")


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "weather"}])
def test_a_required_tool_is_called(lab: RunningLab, choice: object) -> None:
    body = ANTHROPIC.call(lab, tools=[WEATHER], tool_choice=choice).json()
    (use,) = body["content"]
    assert (use["type"], use["name"], use["input"]) == ("tool_use", "weather", {"city": "example"})
    assert body["stop_reason"] == "tool_use"


def test_the_newest_models_refuse_a_forced_tool(lab: RunningLab) -> None:
    refused = ANTHROPIC.call(lab, model="claude-opus-5-5", tools=[WEATHER], tool_choice={"type": "any"})
    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
    assert "tool_choice" in refused.json()["error"]["message"]


def test_a_json_schema_gives_json(lab: RunningLab) -> None:
    closed = {**WEATHER["input_schema"], "additionalProperties": False}
    wanted = {"format": {"type": "json_schema", "schema": closed}}
    (block,) = ANTHROPIC.call(lab, output_config=wanted).json()["content"]
    assert (block["type"], json.loads(block["text"])) == ("text", {"city": "example"})


def test_a_streamed_tool_call_gives_its_input_in_pieces(lab: RunningLab) -> None:
    told = events(ANTHROPIC.call(lab, stream=True, tools=[WEATHER], tool_choice={"type": "any"}))
    deltas = [event["delta"] for event in told if event["type"] == "content_block_delta"]
    assert told[1]["content_block"]["name"] == "weather"
    assert "".join(delta["partial_json"] for delta in deltas) == '{"city": "example"}'


def test_blocks_of_a_message_are_read_as_one_text(lab: RunningLab) -> None:
    blocks = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    ANTHROPIC.call(lab, messages=[{"role": "user", "content": blocks}])
    assert lab.last()["prompt"] == "one\ntwo"


def test_models_are_listed(lab: RunningLab) -> None:
    listed = requests.get(f"{lab.url}/anthropic/v1/models", headers=dict(ANTHROPIC.headers), timeout=5).json()
    assert [model["id"] for model in listed["data"]] == ["claude-haiku-4-5"]


def count(lab: RunningLab, **body: object) -> requests.Response:
    asked = {"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "What is a mutex?"}], **body}
    headers = {"x-api-key": "any", "anthropic-version": "2023-06-01"}
    return requests.post(f"{lab.url}/anthropic/v1/messages/count_tokens", json=asked, headers=headers, timeout=10)


def test_tokens_are_counted_as_an_answer_would_count_them(lab: RunningLab) -> None:
    asked = {"messages": [{"role": "user", "content": "What is a mutex?"}], "system": "Be brief."}
    answered = ANTHROPIC.call(lab, **asked).json()
    assert count(lab, **asked).json() == {"input_tokens": answered["usage"]["input_tokens"]}


@pytest.mark.parametrize(
    ("field", "value"), [("max_tokens", 5), ("stream", False), ("messages", []), ("tools", [{"name": "a b"}])]
)
def test_a_count_is_as_strict_as_an_answer(lab: RunningLab, field: str, value: object) -> None:
    answer = count(lab, **{field: value})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert field in answer.json()["error"]["message"]

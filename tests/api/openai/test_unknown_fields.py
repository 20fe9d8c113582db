"""Fields inside messages and tools that nobody here has a word for: never lost in silence, nor sent to who refuses."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import requests

from tests.support.recording import Recording

OPENAI, CLAUDE, GEMINI, COMPAT = (
    "openai/gpt-4.1-mini",
    "anthropic/claude-haiku-4-5",
    "gemini/gemini-3-pro-preview",
    "compat/m",
)
MODELS = [OPENAI, CLAUDE, GEMINI, COMPAT]
DROPPED = "x-tooloo-dropped-parameters"
MARK = {"type": "ephemeral"}
SIGNED = base64.b64encode(b"signed").decode()
U: Any = {"role": "user", "content": "hi"}
F: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
PNG = "data:image/png;base64,iVBORw0KGgo="


def call(call_id: str = "c", **more: Any) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}} | more


def calling(*calls: dict[str, Any], content: Any = None, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": list(calls), **more}


def result(call_id: str = "c", content: Any = "ok", **more: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content, **more}


def said(**more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": "a", **more}


def function(**more: Any) -> dict[str, Any]:
    return {"name": "f", "arguments": "{}", **more}


def user(**part: Any) -> dict[str, Any]:
    return {"role": "user", "content": [part]}


OURS = "provider_specific_fields"
UNKNOWN: list[tuple[list[Any], str]] = [
    ([{**U, "id": "msg_1", "createdAt": "now"}], "createdAt,id"),
    ([user(type="text", text="hi", annotations=[1])], "content.annotations"),
    ([user(type="image_url", image_url={"url": PNG, "format": "x"})], "content.format"),
    ([U, calling(call(x=1)), result()], "tool_calls.x"),
    ([U, calling(call(function=function(x=1))), result()], "tool_calls.function.x"),
    ([U, calling(call()), result(is_error=True, artifact={"a": 1})], "artifact,is_error"),
    ([U, said(audio={"id": "audio_1"}), U], "audio"),
    ([U, said(provider_specific_fields={"citations": [1]}), U], OURS),
    ([U, said(reasoning_text="r", reasoning_opaque="o"), U], "reasoning_opaque,reasoning_text"),
]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("messages", "names"), UNKNOWN)
def test_an_unknown_field_of_a_message_is_named(front: Recording, model: str, messages: list[Any], names: str) -> None:
    response = front.ask(model, messages)

    if model in (CLAUDE, GEMINI):  # they have a word for it
        names = names.removesuffix(",is_error")
    assert response.status_code == 200, response.text
    assert response.headers[DROPPED] == names
    assert response.json()["tooloo"]["dropped_parameters"] == names.split(",")


@pytest.mark.parametrize("model", MODELS)
def test_a_field_that_says_nothing_is_not_named(front: Recording, model: str) -> None:
    """What the official SDK makes of an answer, passed back."""
    message = {
        "role": "assistant",
        "content": "a",
        "annotations": [],
        "audio": None,
        "function_call": None,
        "parsed": None,
    }
    assert DROPPED not in front.ask(model, [U, message, U]).headers


@pytest.mark.parametrize(("messages", "names"), UNKNOWN)
def test_strict_refuses_an_unknown_field_of_a_message(front: Recording, messages: list[Any], names: str) -> None:
    response = requests.post(
        f"{front.url}/v1/chat/completions",
        json={"model": "auto", "messages": messages},
        headers={"X-Tooloo-Parameters": "strict"},
        timeout=30,
    )
    assert response.status_code == 400
    assert response.json()["error"]["param"].removeprefix("messages.").partition(".")[2] in names.split(",")


def test_an_unknown_field_of_a_message_is_no_parameter_to_be_required(front: Recording) -> None:
    assert front.ask("auto", UNKNOWN[0][0], require_parameters=True).status_code == 200


@pytest.mark.parametrize(
    ("model", "names", "sent"),
    [
        (OPENAI, "tools.defer_loading,tools.input_examples", False),
        (CLAUDE, "tools.defer_loading,tools.input_examples", False),
        (GEMINI, "tools.defer_loading,tools.input_examples", False),
        (COMPAT, None, True),
    ],
)
def test_an_unknown_field_of_a_tool(front: Recording, model: str, names: str | None, sent: bool) -> None:
    tool = {**F, "defer_loading": True, "function": {**F["function"], "input_examples": ["@"]}}
    response = front.ask(model, [U], tools=[tool])
    assert response.headers.get(DROPPED) == names
    (received,) = front.servers[model.split("/")[0]].received
    assert (b"defer_loading" in received.body and b"input_examples" in received.body) is sent


def test_null_in_a_tool_is_not_sent(front: Recording) -> None:
    tool = {**F, "function": {**F["function"], "description": None, "strict": None}}
    assert front.sent(OPENAI, [U], tools=[tool])["tools"] == [F]


def test_any_name_fits_into_the_header(front: Recording) -> None:
    response = front.ask(CLAUDE, [{**U, "a\r\nb: c": 1, "ü,%": 2}], **{"x" * 3000: 1, "y": 1})
    assert response.status_code == 200
    assert "b" not in response.headers
    assert set(response.json()["tooloo"]["dropped_parameters"]) == {"a\r\nb: c", "ü,%", "x" * 3000, "y"}
    assert response.headers[DROPPED].endswith(",...") or "a%0D%0Ab:%20c" in response.headers[DROPPED]


THOUGHT = {"type": "thinking", "thinking": "t", "signature": SIGNED}
LITELLM: list[tuple[list[Any], Any]] = [
    ([U, calling(call(provider_specific_fields={"thought_signature": SIGNED})), result()], GEMINI),
    ([U, calling(call(function=function(provider_specific_fields={"thought_signature": SIGNED}))), result()], GEMINI),
    ([U, said(provider_specific_fields={"thought_signatures": [SIGNED]}), U], GEMINI),
    ([U, said(provider_specific_fields={"thinking_blocks": [THOUGHT]}), U], CLAUDE),
    ([U, said(provider_specific_fields={"reasoning_content": SIGNED}), U], COMPAT),
]


@pytest.mark.parametrize(("messages", "model"), LITELLM)
def test_what_litellm_keeps_apart_is_sent_back(front: Recording, messages: list[Any], model: str) -> None:
    response = front.ask(model, messages, tools=[F])
    assert response.status_code == 200, response.text
    assert DROPPED not in response.headers
    (received,) = front.servers[model.split("/")[0]].received
    assert SIGNED in received.body.decode()


@pytest.mark.parametrize(
    ("messages", "place"),
    [
        ([U, calling(call(cache_control=MARK)), result(), U], ("assistant", "tool_use")),
        ([U, calling(call(), cache_control=MARK), result(), U], ("assistant", "tool_use")),
        ([U, calling(call(), content="a", cache_control=MARK), result(), U], ("assistant", "text")),
        ([U, calling(call()), result(content="", cache_control=MARK), U], ("user", "tool_result")),
        ([U, calling(call()), result(content=None, cache_control=MARK), U], ("user", "tool_result")),
    ],
)
def test_a_cache_mark_finds_its_block(front: Recording, messages: list[Any], place: tuple[str, str]) -> None:
    sent = front.sent(CLAUDE, messages, tools=[F])
    marked = [
        (turn["role"], block["type"])
        for turn in sent["messages"]
        for block in turn["content"]
        if block.get("cache_control") == MARK
    ]
    assert marked == [place]
    for other in (OPENAI, GEMINI, COMPAT):
        assert "cache_control" in front.ask(other, messages, tools=[F]).headers[DROPPED]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("nothing", ["", None])
def test_calls_without_ids_are_answered_in_their_order(front: Recording, model: str, nothing: str | None) -> None:
    calls = [{**call(), "id": nothing, "function": {"name": "f", "arguments": json.dumps({"n": n})}} for n in (1, 2)]
    results = [{**result(), "tool_call_id": nothing, "content": f"r{n}"} for n in (1, 2)]
    body = json.dumps(front.sent(model, [U, calling(*calls), *results], tools=[F]))
    assert body.index("r1") < body.index("r2")
    response = front.ask(model, [U, calling(*calls), *results, results[0]], tools=[F])
    assert response.json()["error"]["param"] == "messages.4.tool_call_id"


def test_a_result_without_an_id_belongs_to_no_call_that_has_one(front: Recording) -> None:
    response = front.ask("auto", [U, calling(call()), {"role": "tool", "content": "x"}], tools=[F])
    assert response.json()["error"]["param"] == "messages.2.tool_call_id"

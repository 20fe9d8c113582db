"""/v1/messages with the official `anthropic` SDK, over sockets, in front of the lab's four providers."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest
import requests
from anthropic import Anthropic

from tests.support.front import PROVIDERS, Served
from tests.support.lab import SENTENCE

ASK: list[Any] = [{"role": "user", "content": "What is a mutex?"}]
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
DOCUMENT: Any = {"type": "document", "source": {"type": "url", "url": "https://h/x.pdf"}}


def turn(*blocks: Any, role: str = "user") -> list[Any]:
    return [{"role": role, "content": list(blocks)}]


def post(api: Served, headers: dict[str, str] | None = None, **body: Any) -> requests.Response:
    asked = {"model": "auto", "max_tokens": 100, "messages": ASK, **body}
    return requests.post(f"{api.url}/v1/messages", json=asked, headers=headers or {}, timeout=30)


@pytest.mark.parametrize("model", ["auto", "auto:code", *PROVIDERS])
def test_an_answer_has_what_clients_read(client: Anthropic, model: str) -> None:
    raw = client.messages.with_raw_response.create(model=model, max_tokens=100, messages=ASK)
    message = raw.parse()

    assert (message.type, message.role, message.id[:4]) == ("message", "assistant", "msg_")
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    (block,) = message.content
    assert (block.type, block.text) == ("text", SENTENCE)  # type: ignore[union-attr]  # the line says so
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0
    assert (message.usage.cache_creation_input_tokens, message.usage.cache_read_input_tokens) == (0, 0)
    assert raw.headers["x-tooloo-target"] == message.model
    assert message.model.startswith("deepseek/" if model.startswith("auto") else f"{model}/")
    assert raw.headers["x-tooloo-request-id"] == raw.headers["request-id"] == message._request_id
    assert float(raw.headers["x-tooloo-cost-usd"]) > 0


@pytest.mark.parametrize("model", PROVIDERS)
def test_a_stream_is_anthropics_events_in_their_order(client: Anthropic, model: str) -> None:
    kinds = []
    with client.messages.stream(model=model, max_tokens=100, messages=ASK) as stream:
        said = ""
        for event in stream:
            kinds.append(event.type)
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                said += event.delta.text
        final = stream.get_final_message()

    raw = [kind for kind in kinds if kind not in ("text",)]
    assert raw[:2] == ["message_start", "content_block_start"]
    assert raw[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(raw[2:-3]) == {"content_block_delta"}
    assert said == SENTENCE == final.content[0].text  # type: ignore[union-attr]  # of a text
    assert final.stop_reason == "end_turn"
    assert final.usage.input_tokens > 0
    assert final.usage.output_tokens > 1


@pytest.mark.parametrize("model", PROVIDERS)
@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_called_and_their_results_understood(client: Anthropic, model: str, stream: bool) -> None:
    asked: dict[str, Any] = {"model": model, "max_tokens": 500, "tools": [WEATHER]}
    first = asked | {"messages": ASK, "tool_choice": {"type": "any"}}
    if stream:
        with client.messages.stream(**first) as streamed:
            message = streamed.get_final_message()
    else:
        message = client.messages.create(**first)

    assert message.stop_reason == "tool_use"
    call = message.content[-1]
    assert (call.type, call.name) == ("tool_use", "get_weather")  # type: ignore[union-attr]  # the line says so
    assert "city" in call.input  # type: ignore[union-attr]  # of a call
    result = {"type": "tool_result", "tool_use_id": call.id, "content": '{"sky": "clear"}'}  # type: ignore[union-attr]  # of a call
    history = [
        *ASK,
        {"role": "assistant", "content": message.to_dict()["content"]},
        {"role": "user", "content": [result, {"type": "text", "text": "And?"}]},
    ]

    second = client.messages.create(**asked, system="Be brief.", messages=history)

    assert second.content[0].text == SENTENCE  # type: ignore[union-attr]  # of a text


@pytest.mark.parametrize("model", PROVIDERS)
def test_a_schema_is_kept_to(client: Anthropic, model: str) -> None:
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string"}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    message = client.messages.create(
        model=model, max_tokens=200, messages=ASK, output_config={"format": {"type": "json_schema", "schema": schema}}
    )

    assert json.loads(message.content[-1].text) == {"answer": "example"}  # type: ignore[union-attr]  # of a text


def test_a_stop_sequence_is_told_where_the_target_tells_it(client: Anthropic) -> None:
    asked: dict[str, Any] = {"max_tokens": 100, "messages": ASK, "stop_sequences": ["forty"]}
    told = client.messages.create(model="anthropic", **asked)
    untold = client.messages.create(model="gemini", **asked)

    assert (told.stop_reason, told.stop_sequence) == ("stop_sequence", "forty")
    assert (untold.stop_reason, untold.stop_sequence) == ("end_turn", None)


def test_too_few_tokens_end_with_max_tokens(client: Anthropic) -> None:
    assert client.messages.create(model="openai", max_tokens=3, messages=ASK).stop_reason == "max_tokens"


def test_an_unknown_model_is_a_404(client: Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as failure:
        client.messages.create(model="claude-99", max_tokens=5, messages=ASK)

    body: Any = failure.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "not_found_error")
    assert body["request_id"] == failure.value.request_id
    assert "auto:code" in body["error"]["message"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", None),
        ("max_tokens", 0),
        ("messages", []),
        ("messages.0.role", [{"role": "robot", "content": "hi"}]),
        ("messages.0.content", [{"role": "user"}]),
        ("messages.0.content.0.type", turn({"text": "hi"})),
        ("messages.0.content.0.type", turn({"type": "tool_use", "id": "a"})),
        ("messages.0.content.0.tool_use_id", turn({"type": "tool_result", "tool_use_id": "a"})),
        ("messages.0.content.0.source.type", turn({"type": "image", "source": {"type": "x"}})),
        ("messages.0.content.0.input", turn({"type": "tool_use", "id": "a", "name": "b"}, role="assistant")),
        ("messages.0.content.0.citations", turn({**DOCUMENT, "citations": 1})),
        ("temperature", 1.5),
        ("stop_sequences", "END"),
        ("tools.0.input_schema", [{"name": "f"}]),
        ("tools.0.type", [{"type": 5, "name": "f"}]),
        ("tools.0.name", [{"input_schema": {"type": "object"}}]),
        ("tool_choice.type", {"type": "some"}),
        ("tool_choice", {"type": "any"}),
        ("thinking.budget_tokens", {"type": "enabled"}),
        ("output_config.effort", {"effort": "extreme"}),
        ("output_config.format.type", {"format": {"type": "xml"}}),
        ("output_config.format.type", {"format": {}}),
        ("system", 5),
        ("system.0.type", [{"type": "image"}]),
        ("cache_control", "yes"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("model", ["auto", "anthropic"])
def test_what_is_wrong_is_refused_by_name(api: Served, model: str, field: str, value: Any) -> None:
    response = post(api, model=model, **{field.split(".")[0]: value})

    assert response.status_code == 400
    error = response.json()
    assert (error["type"], error["error"]["type"]) == ("error", "invalid_request_error")
    assert error["error"]["message"].startswith(f"{field}")


def test_a_conversation_that_claude_would_keep_is_refused_as_sdks_understand_it(api: Served) -> None:
    response = post(api, thread={"type": "create"})

    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["type"], error["details"]["error_code"]) == ("invalid_request_error", "thread_unsupported_request")
    assert error["details"]["unsupported"] == ["thread"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_field_of_any_name_is_named(api: Served, stream: bool) -> None:
    response = post(api, stream=stream, **{"a\nb": 1, "ключ": 2})

    assert response.status_code == 200
    assert response.headers["x-tooloo-dropped-parameters"] == "a%0Ab,%D0%BA%D0%BB%D1%8E%D1%87"


@pytest.mark.parametrize("path", ["batches", "nothing/at/all"])
def test_what_is_not_there_is_said_in_anthropics_shape(api: Served, path: str) -> None:
    response = requests.post(f"{api.url}/v1/messages/{path}", json={}, timeout=5)

    assert (response.status_code, response.json()["error"]["type"]) == (404, "not_found_error")


def test_other_routes_keep_openais_shape(api: Served) -> None:
    response = requests.get(f"{api.url}/v1/embeddings", timeout=5)

    assert response.status_code == 404
    assert "chat/completions" in response.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/messages", "/v1/messages/", "/v1/v1/messages"])
def test_base_urls_with_and_without_v1_work(api: Served, path: str) -> None:
    asked = {"model": "auto", "max_tokens": 9, "messages": ASK}
    assert requests.post(api.url + path, json=asked, timeout=30).status_code == 200


def test_models_have_anthropics_shape_for_its_clients(client: Anthropic, api: Served) -> None:
    names = [model.id for model in client.models.list(limit=3)]

    assert names[:2] == ["auto", "auto:creative"]
    assert set(PROVIDERS) < set(names)
    for name in names:
        found = client.models.retrieve(name)
        assert (found.type, found.id, found.display_name) == ("model", name, name)
    assert requests.get(f"{api.url}/v1/models", timeout=5).json()["object"] == "list"
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("claude-99")
    with pytest.raises(anthropic.BadRequestError, match="limit"):
        client.models.list(limit=5000)


def test_pages_go_both_ways(client: Anthropic) -> None:
    first = client.models.list(limit=2)
    second = first.get_next_page()
    back = client.models.list(limit=2, before_id=second.data[0].id)

    assert [model.id for model in back.data] == [model.id for model in first.data]
    assert first.has_more is True

"""/v1 with the official `openai` SDK, over sockets, in front of the lab's four providers."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
import requests
from openai import OpenAI

from tests.support.front import PROVIDERS, Served
from tests.support.lab import SENTENCE

ASK: list[Any] = [{"role": "user", "content": "What is a mutex?"}]
#: JSON mode is refused where no message speaks of JSON
ASK_JSON: list[Any] = [{"role": "user", "content": "What is a mutex? Answer in JSON."}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}


def post(api: Served, **body: Any) -> requests.Response:
    return requests.post(f"{api.url}/v1/chat/completions", json={"model": "auto", "messages": ASK, **body}, timeout=30)


@pytest.mark.parametrize("model", ["auto", "auto:code", *PROVIDERS])
def test_an_answer_has_what_clients_read(client: OpenAI, model: str) -> None:
    raw = client.chat.completions.with_raw_response.create(model=model, messages=ASK)
    answer = raw.parse()

    assert (answer.object, answer.id[:9]) == ("chat.completion", "chatcmpl-")
    choice = answer.choices[0]
    assert (choice.index, choice.finish_reason, choice.message.role) == (0, "stop", "assistant")
    assert choice.message.content == SENTENCE
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    assert raw.headers["x-tooloo-target"] == answer.model
    assert answer.model.startswith("deepseek/" if model.startswith("auto") else f"{model}/")
    assert raw.headers["x-tooloo-attempts"] == "1"
    assert raw.headers["x-tooloo-request-id"] == answer._request_id
    assert float(raw.headers["x-tooloo-cost-usd"]) > 0


@pytest.mark.parametrize("model", PROVIDERS)
def test_a_stream_gives_the_same_text_piece_by_piece(client: OpenAI, model: str) -> None:
    with client.chat.completions.create(
        model=model, messages=ASK, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)

    assert chunks[0].choices[0].delta.role == "assistant"
    said = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(said) == SENTENCE
    assert len([piece for piece in said if piece]) > 1
    finishes = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert finishes[-1] == "stop"
    assert set(finishes[:-1]) == {None}
    last = chunks[-1]
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens > 0
    assert len({chunk.id for chunk in chunks}) == 1


def test_without_include_usage_no_chunk_is_without_a_choice(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="auto", messages=ASK, stream=True))

    assert all(len(chunk.choices) == 1 and chunk.usage is None for chunk in chunks)


@pytest.mark.parametrize("model", PROVIDERS)
def test_tools_are_called_and_their_results_understood(client: OpenAI, model: str) -> None:
    first = client.chat.completions.create(model=model, messages=ASK, tools=[WEATHER], tool_choice="required")
    call = first.choices[0].message.tool_calls[0]  # type: ignore[index]  # the next line would fail
    assert (first.choices[0].finish_reason, call.type, call.function.name) == ("tool_calls", "function", "get_weather")
    assert "city" in json.loads(call.function.arguments)

    second = client.chat.completions.create(
        model=model,
        tools=[WEATHER],
        messages=[
            {"role": "developer", "content": "Be brief."},
            *ASK,
            first.choices[0].message.to_dict(),  # type: ignore[list-item]  # as people pass it back
            {"role": "tool", "tool_call_id": call.id, "content": '{"sky": "clear"}'},
        ],
    )

    assert second.choices[0].message.content == SENTENCE


@pytest.mark.parametrize("model", PROVIDERS)
def test_tool_calls_are_streamed(client: OpenAI, model: str) -> None:
    choice: Any = {"type": "function", "function": {"name": "get_weather"}}
    with client.chat.completions.stream(model=model, messages=ASK, tools=[WEATHER], tool_choice=choice) as stream:
        final = stream.get_final_completion()

    call = final.choices[0].message.tool_calls[0]  # type: ignore[index]  # the next line would fail
    assert (final.choices[0].finish_reason, call.function.name) == ("tool_calls", "get_weather")
    assert "city" in json.loads(call.function.arguments)


def test_content_in_parts_is_taken(client: OpenAI) -> None:
    parts: Any = [{"type": "text", "text": "What is"}, {"type": "text", "text": " a mutex?"}]

    answer = client.chat.completions.create(model="anthropic", messages=[{"role": "user", "content": parts}])

    assert answer.choices[0].message.content == SENTENCE


def test_parameters_reach_the_provider_in_its_own_words(client: OpenAI, api: Served) -> None:
    client.chat.completions.create(
        model="deepseek", messages=ASK_JSON, temperature=0.25, top_p=0.5, stop=["END"], seed=7,
        max_completion_tokens=77, frequency_penalty=0.5, presence_penalty=-0.5,
        response_format={"type": "json_object"}, user="anna", n=1, logprobs=False,
    )  # fmt: skip

    sent = api.lab.last()["parameters"]
    assert (sent["temperature"], sent["top_p"], sent["stop"], sent["seed"]) == (0.25, 0.5, ["END"], 7)
    assert (sent["max_tokens"], sent["frequency_penalty"], sent["presence_penalty"]) == (77, 0.5, -0.5)
    assert sent["response_format"] == {"type": "json_object"}
    assert "user" not in sent


def test_stop_as_a_text_stops(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="gemini", messages=ASK, stop="forty")

    assert answer.choices[0].message.content == SENTENCE[: SENTENCE.index("forty")].rstrip() or SENTENCE.startswith(
        answer.choices[0].message.content or "?"
    )
    assert "forty" not in (answer.choices[0].message.content or "")


def test_too_few_tokens_end_with_length(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="openai", messages=ASK, max_tokens=3)

    assert answer.choices[0].finish_reason == "length"


def test_models_are_listed_and_each_of_them_can_be_asked_for(client: OpenAI) -> None:
    names = [model.id for model in client.models.list()]

    assert names[:4] == ["auto", "auto:creative", "auto:code", "auto:analysis"]
    assert set(PROVIDERS) < set(names)
    assert sum("/" in name for name in names) >= 4
    for name in names:
        assert client.models.retrieve(name).id == name


def test_the_bare_name_of_a_model_makes_a_script_run_unchanged(client: OpenAI, api: Served) -> None:
    provider = api.running.gateway.services.endpoints["openai"].provider

    answer = client.chat.completions.create(model=provider.models[0], messages=ASK)

    assert answer.model == f"openai/{provider.models[0]}"


def test_an_unknown_model_is_openais_404(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as failure:
        client.chat.completions.create(model="gpt-99", messages=ASK)

    assert (failure.value.code, failure.value.param, failure.value.type) == (
        "model_not_found",
        "model",
        "invalid_request_error",
    )
    assert "auto:code" in failure.value.message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("functions", ["f"]),
        ("function_call", {"name": "f"}),
        ("parallel_tool_calls", "no"),
        ("modalities", ["text", "audio"]),
        ("reasoning_effort", "extreme"),
        ("response_format", "json_object"),
        ("response_format", {"type": "json_schema"}),
        ("response_format", {"type": "json_object", "json_schema": {"name": "x", "schema": {}}}),
        ("response_format", {"type": "json_schema", "json_schema": {"name": "x"}}),
        ("response_format", {"type": "json_schema", "json_schema": {"schema": {}}}),
        ("response_format", {"type": "json_schema", "json_schema": {"name": "no name", "schema": {}}}),
        ("response_format", {"type": "json_schema", "json_schema": {"name": "x", "schema": []}}),
        ("response_format", {"type": "json_schema", "json_schema": {"name": "x", "schema": {}, "strict": "yes"}}),
        ("tool_choice", "required"),
        ("temperature", 3),
        ("temperature", "hot"),
        ("max_tokens", 0),
        ("stop", ["a", "b", "c", "d", "e"]),
        ("messages", []),
        ("messages", [{"role": "robot", "content": "hi"}]),
        ("messages", [{"role": "user"}]),
        ("messages", [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]),
        ("messages", [{"role": "tool", "content": "hi"}]),
    ],
)
def test_what_would_change_the_meaning_is_refused_by_name(api: Served, field: str, value: Any) -> None:
    response = post(api, **{field: value})

    assert response.status_code == 400
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert (error["param"] or "").split(".")[0] == field
    assert "instance of" not in error["message"]  # a class of ours is nobody's business
    assert field in error["message"] or error["param"].startswith(f"{field}.")


@pytest.mark.parametrize(
    ("field", "value"),
    [("user", "anna"), ("metadata", {"a": "b"}), ("prediction", {"type": "content", "content": "x"}), ("store", False),
     ("parallel_tool_calls", True), ("parallel_tool_calls", False),
     ("logit_bias", {}), ("service_tier", "auto"), ("tools", None), ("prompt_cache_key", "k")],
)  # fmt: skip
def test_what_changes_nothing_is_ignored(api: Served, field: str, value: Any) -> None:
    assert post(api, **{field: value}).status_code == 200


@pytest.mark.parametrize(("field", "value"), [("user", 5), ("metadata", "a"), ("prompt_cache_key", ["k"])])
def test_hint_of_the_wrong_type_is_refused_by_name(api: Served, field: str, value: Any) -> None:
    response = post(api, **{field: value})

    assert (response.status_code, response.json()["error"]["param"]) == (400, field)


def test_who_asks_is_told_to_openai(client: OpenAI, api: Served) -> None:
    client.chat.completions.create(model="openai", messages=ASK_JSON, user="anna")

    assert api.lab.last()["parameters"]["user"] == "anna"


@pytest.mark.parametrize("path", ["embeddings", "completions", "models/gpt-99", "responses"])
def test_what_is_not_there_is_said_in_openais_shape(api: Served, path: str) -> None:
    response = requests.get(f"{api.url}/v1/{path}", timeout=5)

    assert response.status_code == 404
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


def test_a_body_that_is_no_json_is_refused_in_openais_shape(api: Served) -> None:
    response = requests.post(
        f"{api.url}/v1/chat/completions", data="{", headers={"Content-Type": "application/json"}, timeout=5
    )

    assert (response.status_code, response.json()["error"]["type"]) == (400, "invalid_request_error")


def test_the_apis_own_chat_streams_too(api: Served, client: OpenAI) -> None:
    response = requests.post(f"{api.url}/api/v1/chat", json={"message": "hi", "stream": True}, timeout=10)

    assert response.headers["Content-Type"].startswith("text/event-stream")
    events = [block.split("\n", 1) for block in response.content.decode().strip().split("\n\n")]
    data = [(name.removeprefix("event: "), json.loads(text.removeprefix("data: "))) for name, text in events]
    assert "".join(document["content"] for name, document in data if name == "delta") == SENTENCE
    assert data[-1][0] == "done"
    assert data[-1][1]["provider"] == "deepseek"

"""/v1/responses with the official `openai` SDK, over sockets, in front of the lab's four providers."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
import requests
from openai import OpenAI
from pydantic import BaseModel

from tests.support import response_types
from tests.support.front import PROVIDERS, Served
from tests.support.lab import SENTENCE

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}


def post(api: Served, headers: dict[str, str] | None = None, **body: Any) -> requests.Response:
    asked = {"model": "auto", "input": "What is a mutex?", **body}
    return requests.post(f"{api.url}/v1/responses", json=asked, headers=headers, timeout=30)


def streamed(api: Served, **body: Any) -> list[Any]:
    response = post(api, stream=True, **body)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"].startswith("text/event-stream")
    return response_types.sequence(response.content.decode())


@pytest.mark.parametrize("model", ["auto", "auto:code", *PROVIDERS])
def test_an_answer_has_what_clients_read(client: OpenAI, api: Served, model: str) -> None:
    raw = client.responses.with_raw_response.create(model=model, input="What is a mutex?", instructions="Be brief.")
    answer = raw.parse()

    response_types.response(json.loads(raw.content))
    assert (answer.object, answer.status, answer.id[:5]) == ("response", "completed", "resp_")
    assert answer.output_text == SENTENCE
    assert [item.type for item in answer.output] == ["message"]
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0
    assert answer.instructions == "Be brief."
    assert raw.headers["x-tooloo-target"] == answer.model
    assert answer.model.startswith("deepseek/" if model.startswith("auto") else f"{model}/")
    assert raw.headers["x-tooloo-attempts"] == "1"
    assert float(raw.headers["x-tooloo-cost-usd"]) > 0
    assert answer.id == f"resp_{raw.headers['x-tooloo-request-id'].removeprefix('req-')}"


@pytest.mark.parametrize("model", PROVIDERS)
def test_a_stream_tells_the_same_event_by_event(api: Served, client: OpenAI, model: str) -> None:
    events = streamed(api, model=model)

    final = response_types.response(events[-1]["response"])
    deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert "".join(deltas) == SENTENCE
    assert len(deltas) > 1
    assert final["status"] == "completed"
    assert final["usage"]["output_tokens"] > 0
    assert final["tooloo"]["target"] == final["model"]


@pytest.mark.parametrize("model", PROVIDERS)
def test_the_sdks_stream_helper_ends_with_the_whole_response(client: OpenAI, model: str) -> None:
    with client.responses.stream(model=model, input="What is a mutex?") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()

    assert final.output_text == SENTENCE
    assert kinds[0] == "response.created"


class City(BaseModel):
    city: str


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", PROVIDERS)
def test_a_schema_is_parsed(client: OpenAI, model: str, stream: bool) -> None:
    ask: Any = {"model": model, "input": "Name a city, in JSON.", "text_format": City}
    if stream:
        with client.responses.stream(**ask) as streaming:
            parsed = streaming.until_done().get_final_response().output_parsed
    else:
        parsed = client.responses.parse(**ask).output_parsed

    assert isinstance(parsed, City)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", PROVIDERS)
def test_tools_are_called_and_their_outputs_understood(api: Served, model: str, stream: bool) -> None:
    ask: list[Any] = [{"role": "user", "content": "What is the weather?"}]
    if stream:
        first = streamed(api, model=model, input=ask, tools=[WEATHER], tool_choice="required")[-1]["response"]
    else:
        first = post(api, model=model, input=ask, tools=[WEATHER], tool_choice="required").json()
    response_types.response(first)
    call = first["output"][-1]
    assert (call["type"], call["name"], call["status"]) == ("function_call", "get_weather", "completed")
    assert "city" in json.loads(call["arguments"])

    output = {"type": "function_call_output", "call_id": call["call_id"], "output": '{"sky": "clear"}'}
    second = post(api, model=model, input=[*ask, *first["output"], output], tools=[WEATHER])

    assert second.status_code == 200, second.text
    assert second.json()["output"][0]["content"][0]["text"] == SENTENCE


PATCH: Any = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Applies a patch.",
    "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "*** Begin Patch" LF'},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", PROVIDERS)
def test_custom_tools_are_functions_to_the_provider_alone(api: Served, model: str, stream: bool) -> None:
    ask: Any = {"model": model, "tools": [WEATHER, PATCH], "tool_choice": {"type": "custom", "name": "apply_patch"}}
    first = streamed(api, **ask)[-1]["response"] if stream else post(api, **ask).json()

    response_types.response(first)
    call = first["output"][-1]
    assert (call["type"], call["name"]) == ("custom_tool_call", "apply_patch")
    assert call["input"]
    assert "{" not in call["input"]
    assert "tools.format" in first["tooloo"]["dropped_parameters"]

    output = {"type": "custom_tool_call_output", "call_id": call["call_id"], "output": "Done!"}
    user = {"role": "user", "content": "What is a mutex?"}
    second = post(api, **ask | {"input": [user, *first["output"], output], "tool_choice": "auto"})
    assert second.status_code == 200, second.text
    assert api.lab.refused() == []


@pytest.mark.parametrize("stream", [False, True])
def test_too_few_tokens_end_incomplete(api: Served, stream: bool) -> None:
    ask: Any = {"model": "openai", "max_output_tokens": 3}
    document = streamed(api, **ask)[-1]["response"] if stream else post(api, **ask).json()

    response_types.response(document)
    assert (document["status"], document["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert document["output"][0]["status"] == "incomplete"


def test_parameters_reach_the_provider_in_its_own_words(client: OpenAI, api: Served) -> None:
    client.responses.create(
        model="deepseek", input="Say it in JSON.", temperature=0.25, top_p=0.5, max_output_tokens=77,
        text={"format": {"type": "json_object"}, "verbosity": "low"}, user="anna", metadata={"a": "b"},
        prompt_cache_key="k", parallel_tool_calls=True, max_tool_calls=3, service_tier="auto", truncation="disabled",
    )  # fmt: skip

    sent = api.lab.last()["parameters"]
    assert (sent["temperature"], sent["top_p"], sent["max_tokens"], sent["verbosity"]) == (0.25, 0.5, 77, "low")
    assert sent["response_format"] == {"type": "json_object"}
    assert not {"user", "metadata", "prompt_cache_key", "store", "truncation", "max_tool_calls"} & set(sent)


def test_what_cannot_be_told_is_named(api: Served) -> None:
    response = post(
        api,
        text={"verbosity": "high"},
        truncation="auto",
        top_logprobs=2,
        reasoning={"effort": "low", "summary": "detailed"},
        include=["message.output_text.logprobs", "reasoning.encrypted_content"],
        top_k=5,
    )

    assert response.status_code == 200, response.text
    named = set(response.headers["x-tooloo-dropped-parameters"].split(","))
    wanted = {"verbosity", "truncation", "top_logprobs", "reasoning.summary", "include.logprobs", "top_k"}
    assert wanted <= named
    assert set(response.json()["tooloo"]["dropped_parameters"]) == named


def test_only_allowed_tools_are_offered(api: Served) -> None:
    other = WEATHER | {"name": "other"}
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "other"}]}

    document = post(api, model="openai", tools=[WEATHER, other], tool_choice=allowed).json()

    response_types.response(document)
    assert [item["name"] for item in document["output"]] == ["other"]


TEXT, USER = {"type": "input_text", "text": "x"}, {"role": "user", "content": "x"}
NAMESPACE: Any = {"type": "namespace", "name": "crm", "description": "Customers", "tools": [WEATHER]}
NOBODY = {"type": "function", "name": "nobody"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("background", True),
        ("conversation", "conv_1"),
        ("prompt", {"id": "p"}),
        ("context_management", [{"type": "compaction"}]),
        ("include.0", ["everything"]),
        ("truncation", "always"),
        ("temperature", 3),
        ("max_output_tokens", 0),
        ("metadata.a", {"a": 1}),
        ("text.format.schema", {"format": {"type": "json_schema", "name": "x"}}),
        ("text.format.name", {"format": {"type": "json_schema", "schema": {}}}),
        ("text.format.type", {"format": {"type": "text", "name": "x"}}),
        ("text.verbosity", {"verbosity": "chatty"}),
        ("reasoning.effort", {"effort": "extreme"}),
        ("input", 5),
        ("input", ""),
        ("input.0", ["hi"]),
        ("input.0.role", [{"role": "robot", "content": "hi"}]),
        ("input.0.content", [{"role": "user"}]),
        ("input.0.content.1.type", [{"role": "user", "content": [TEXT, {"type": "text"}]}]),
        ("input.0.content.0.image_url", [{"role": "user", "content": [{"type": "input_image"}]}]),
        ("input.0.content.0.file_id", [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]),
        ("input.0.content.0.file_data", [{"role": "user", "content": [{"type": "input_file", "file_data": "x"}]}]),
        ("input.0.type", [{"type": "web_search_call", "id": "ws_1"}]),
        ("input.1.call_id", [USER, {"type": "function_call_output", "call_id": "a", "output": ""}]),
        ("input.0.name", [{"type": "function_call", "call_id": "a", "arguments": "{}"}]),
        ("input.0.summary.0.text", [{"type": "reasoning", "summary": [{"type": "summary_text"}]}]),
        ("tools.0.tools.0.type", [{"type": "namespace", "name": "n", "description": "", "tools": [{"type": "mcp"}]}]),
        ("tools.0.tools", [{"type": "namespace", "name": "n", "description": ""}]),
        ("tools.1.name", [NAMESPACE, WEATHER | {"name": "crm__get_weather"}]),
        ("tools.0.type", [{"type": "file_search", "vector_store_ids": ["v"]}]),
        ("tools.0.type", [{"type": "code_interpreter", "container": {"type": "auto"}}]),
        ("tools.0.type", [{"type": "computer_use_preview"}]),
        ("tools.0.type", [{"type": "image_generation"}]),
        ("tools.0.type", [{"type": "mcp", "server_label": "x"}]),
        ("tools.0.type", [{"type": "local_shell"}]),
        ("tools.0.type", [{"type": "telepathy"}]),
        ("tools.0.name", [{"type": "function", "function": {"name": "chat"}}]),
        ("tools.1.name", [WEATHER, PATCH | {"name": "get_weather"}]),
        ("tools.0.parameters", [WEATHER | {"parameters": "x"}]),
        ("tools.0.strict", [WEATHER | {"strict": "yes"}]),
        ("tools.0.format.type", [PATCH | {"format": {"type": "binary"}}]),
        ("tools.0.format.definition", [PATCH | {"format": {"type": "grammar", "syntax": "lark"}}]),
        ("tool_choice", "required"),
        ("tool_choice", "perhaps"),
        ("tool_choice.name", NOBODY),
        ("tool_choice.type", {"type": "web_search_preview"}),
        ("tool_choice.tools.0.name", {"type": "allowed_tools", "mode": "auto", "tools": [NOBODY]}),
    ],
)  # fmt: skip
def test_what_would_change_the_meaning_is_refused_by_name(api: Served, field: str, value: Any) -> None:
    response = post(api, **{field.split(".")[0]: value})

    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert (error["param"], error["type"]) == (field, "invalid_request_error")
    assert "instance of" not in error["message"]
    assert error["message"].startswith(field.split(".")[0])


def test_a_chat_completions_body_is_told_what_is_missing(api: Served) -> None:
    asked = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
    response = requests.post(f"{api.url}/v1/responses", json=asked, timeout=5)

    assert (response.status_code, response.json()["error"]["param"]) == (400, "input")


@pytest.mark.parametrize("kind", ["web_search", "web_search_preview_2025_03_11"])
def test_a_search_is_an_offer_that_is_left_out_and_named(api: Served, kind: str) -> None:
    """Codex makes it unless it is told not to."""
    ask: Any = {"tools": [WEATHER, {"type": kind}], "tool_choice": "auto"}

    response = post(api, **ask)

    assert response.status_code == 200, response.text
    assert f"tools.{kind}" in response.headers["x-tooloo-dropped-parameters"].split(",")
    refused = post(api, headers={"X-Tooloo-Parameters": "strict"}, **ask)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "tools.1.type")


def test_drop_leaves_out_every_built_in_tool(api: Served) -> None:
    tools = [{"type": kind} for kind in ("mcp", "code_interpreter", "local_shell")]

    assert post(api, tools=tools).status_code == 400
    response = post(api, headers={"X-Tooloo-Parameters": "drop"}, tools=tools, tool_choice="auto")

    assert response.status_code == 200, response.text
    assert response.json()["tooloo"]["dropped_parameters"] == [
        "tools.code_interpreter",
        "tools.local_shell",
        "tools.mcp",
    ]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", PROVIDERS)
def test_tools_of_a_namespace_are_called_by_their_names(api: Served, model: str, stream: bool) -> None:
    chosen = {"type": "function", "namespace": "crm", "name": "get_weather"}
    ask: Any = {"model": model, "tools": [WEATHER, NAMESPACE], "tool_choice": chosen}
    first = streamed(api, **ask)[-1]["response"] if stream else post(api, **ask).json()

    call = response_types.response(first)["output"][-1]
    assert (call["type"], call["namespace"], call["name"]) == ("function_call", "crm", "get_weather")

    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "ok"}
    user = {"role": "user", "content": "What is a mutex?"}
    second = post(api, **ask | {"input": [user, *first["output"], output], "tool_choice": "auto"})
    assert second.status_code == 200, second.text


def test_strict_refuses_what_is_not_known(api: Served) -> None:
    response = post(api, headers={"X-Tooloo-Parameters": "strict"}, top_k=5)

    assert (response.status_code, response.json()["error"]["param"]) == (400, "top_k")


@pytest.mark.parametrize("path", ["/responses", "/v1/responses/"])
def test_a_base_url_without_its_end_works_too(api: Served, path: str) -> None:
    response = requests.post(f"{api.url}{path}", json={"model": "auto", "input": "hi"}, timeout=30)

    assert response.status_code == 200


def test_what_is_not_there_names_responses(api: Served) -> None:
    response = requests.post(f"{api.url}/v1/responses/compact", json={}, timeout=5)

    assert response.status_code == 404
    assert "responses" in response.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_without_a_database_answers_are_given_and_say_that_they_are_not_kept(api: Served, stream: bool) -> None:
    document = streamed(api)[-1]["response"] if stream else post(api).json()

    assert document["store"] is False


@pytest.mark.parametrize("ask", [{"store": True}, {"previous_response_id": "resp_1"}])
def test_without_a_database_what_needs_it_is_refused(api: Served, ask: Any) -> None:
    response = post(api, **ask)

    assert (response.status_code, response.json()["error"]["code"]) == (503, "dependency_unavailable")


def test_an_unknown_model_is_openais_404(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as failure:
        client.responses.create(model="gpt-99", input="hi")

    assert (failure.value.code, failure.value.param) == ("model_not_found", "model")

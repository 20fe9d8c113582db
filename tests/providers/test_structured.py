"""Answers that have to be JSON of a schema, one tool call at a time, how much is thought: what is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.catalog import WireFormat
from app.errors import Unsupported
from app.providers.base import ChatRequest, JsonSchema, Message
from app.providers.wire.formats import FORMATS
from tests.providers.calls import BY_TOOL, NATIVE, By, endpoint

OPENAI, ANTHROPIC, GEMINI = WireFormat.OPENAI, WireFormat.ANTHROPIC, WireFormat.GEMINI
USER = Message("user", "Hello")
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WANTED = JsonSchema("place", CITY, description="Where it is", strict=True)
TOOL = {"type": "function", "function": {"name": "weather", "parameters": CITY}}


def told(wire: WireFormat, model: str, by: By = NATIVE, **parameters: Any) -> dict[str, Any]:
    """The body that goes out, with `dropped` and `answer_tool` beside it."""
    request = ChatRequest(messages=(USER,), **parameters)
    outgoing = FORMATS[wire].build(endpoint("http://h", wire, capabilities=by), model, request, False)
    document: dict[str, Any] = json.loads(outgoing.body)
    return document | {"dropped": outgoing.dropped, "answer_tool": outgoing.answer_tool}


def test_openai_is_told_the_schema_as_it_is() -> None:
    sent = told(OPENAI, "gpt-4.1-mini", json_schema=WANTED)
    expected = {"name": "place", "schema": CITY, "description": "Where it is", "strict": True}
    assert sent["response_format"] == {"type": "json_schema", "json_schema": expected}
    assert (sent["dropped"], sent["answer_tool"]) == ((), None)
    bare = told(OPENAI, "gpt-4.1-mini", json_schema=JsonSchema("place", CITY))
    assert bare["response_format"]["json_schema"] == {"name": "place", "schema": CITY}


def test_openai_is_told_the_schema_beside_tools() -> None:
    sent = told(OPENAI, "gpt-4.1-mini", json_schema=WANTED, tools=(TOOL,))
    assert (sent["tools"], sent["response_format"]["type"]) == ([TOOL], "json_schema")


def test_gemini_is_told_the_schema_with_its_description() -> None:
    sent = told(GEMINI, "gemini-2.5-flash", json_schema=WANTED)
    assert sent["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": CITY | {"description": "Where it is"},
    }
    assert sent["dropped"] == ()


@pytest.mark.parametrize(
    ("wire", "model", "by"),
    [(OPENAI, "deepseek-chat", BY_TOOL), (ANTHROPIC, "claude-haiku-4-5", NATIVE)],
)
def test_schema_is_told_as_a_tool_that_has_to_be_called(wire: WireFormat, model: str, by: By) -> None:
    sent = told(wire, model, by, json_schema=WANTED)
    assert "response_format" not in sent
    assert "output_config" not in sent
    assert sent["answer_tool"] == "place"
    assert sent["dropped"] == ("json_schema.strict",)  # nothing holds a tool's arguments to their schema
    if wire is ANTHROPIC:
        assert sent["tools"] == [{"name": "place", "description": "Where it is", "input_schema": CITY}]
        assert sent["tool_choice"] == {"type": "tool", "name": "place", "disable_parallel_tool_use": True}
    else:
        function = {"name": "place", "description": "Where it is", "parameters": CITY}
        assert sent["tools"] == [{"type": "function", "function": function}]
        assert sent["tool_choice"] == {"type": "function", "function": {"name": "place"}}
        assert "parallel_tool_calls" not in sent


@pytest.mark.parametrize(
    ("model", "tools", "native"),
    [
        ("claude-haiku-4-5", (), False),
        ("claude-haiku-4-5", (TOOL,), True),
        ("claude-opus-5", (), False),
        ("claude-fable-5-1", (), True),  # refuses a forced tool
        ("claude-sonnet-5-5", (), True),
        ("claude-sonnet-5-5", (TOOL,), True),
    ],
)
def test_claude_is_told_the_schema_as_such_where_a_forced_tool_cannot_be(
    model: str, tools: tuple[dict[str, Any], ...], native: bool
) -> None:
    sent = told(ANTHROPIC, model, json_schema=WANTED, tools=tools)
    assert (sent["answer_tool"] is None) is native
    if native:
        schema = CITY | {"description": "Where it is"}
        assert sent["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
        assert [tool["name"] for tool in sent.get("tools", [])] == ["weather"] * len(tools)
        assert sent["dropped"] == ()


@pytest.mark.parametrize(
    ("wire", "model", "by"),
    [
        (OPENAI, "deepseek-chat", BY_TOOL),
        (ANTHROPIC, "claude-sonnet-4-20250514", NATIVE),
        (GEMINI, "gemini-2.5-flash", NATIVE),
    ],
)
def test_schema_beside_tools_is_for_another_target_where_it_cannot_be(wire: WireFormat, model: str, by: By) -> None:
    with pytest.raises(Unsupported, match="json_schema beside tools") as caught:
        told(wire, model, by, json_schema=WANTED, tools=(TOOL,))
    assert (caught.value.elsewhere, caught.value.counts) == (True, False)


def test_gemini_3_is_told_the_schema_beside_tools() -> None:
    sent = told(GEMINI, "gemini-3-pro-preview", json_schema=WANTED, tools=(TOOL,))
    assert sent["generationConfig"]["responseJsonSchema"]["required"] == ["city"]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": CITY},
        {"type": ["object", "null"]},
        {"anyOf": [CITY, {"type": "string"}]},
        {"$defs": {"l": {"type": "array"}}, "$ref": "#/$defs/l"},
        {"$ref": "#/$defs/nowhere"},
        {"$ref": "#"},
        {"enum": ["a", "b"]},
        {"const": 3},
    ],
)
def test_schema_of_anything_but_objects_is_no_tool(schema: dict[str, Any]) -> None:
    with pytest.raises(Unsupported, match="object"):
        told(ANTHROPIC, "claude-haiku-4-5", json_schema=JsonSchema("places", schema))


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        (CITY, CITY),
        ({"type": ["object"]}, {"type": "object"}),
        ({"properties": {"a": {"type": "string"}}}, {"type": "object", "properties": {"a": {"type": "string"}}}),
        # Claude refuses alternatives and references at the root
        ({"anyOf": [CITY, {"type": "object"}]}, {"type": "object", "properties": CITY["properties"]}),
        ({"$defs": {"c": CITY}, "$ref": "#/$defs/c"}, {"$defs": {"c": CITY}, **CITY}),
        ({"enum": [{"a": 1}]}, {"type": "object", "enum": [{"a": 1}]}),
    ],
)
def test_schema_of_objects_is_a_tool_of_type_object(schema: dict[str, Any], sent: dict[str, Any]) -> None:
    body = told(ANTHROPIC, "claude-haiku-4-5", json_schema=JsonSchema("place", schema))
    assert body["tools"][0]["input_schema"] == sent


@pytest.mark.parametrize("choice", [None, "auto", "required", "weather", "none"])
def test_one_call_at_a_time_is_told_to_claude_beside_its_choice(choice: str | None) -> None:
    sent = told(ANTHROPIC, "claude-haiku-4-5", tools=(TOOL,), tool_choice=choice, parallel_tool_calls=False)
    kinds = {None: "auto", "required": "any", "weather": "tool"}
    assert sent["tool_choice"]["type"] == kinds.get(choice, choice)
    # there is no such key beside "none"
    assert sent["tool_choice"].get("disable_parallel_tool_use") is (None if choice == "none" else True)


@pytest.mark.parametrize(("model", "sent"), [("gpt-4.1-mini", False), ("gpt-5", False), ("o3-mini", None)])
def test_one_call_at_a_time_is_told_to_openais_models_that_take_it(model: str, sent: bool | None) -> None:
    assert told(OPENAI, model, tools=(TOOL,), parallel_tool_calls=False).get("parallel_tool_calls") is sent
    assert "parallel_tool_calls" not in told(OPENAI, model, tools=(TOOL,))


@pytest.mark.parametrize("wire", WireFormat)
def test_one_call_at_a_time_without_tools_is_not_sent(wire: WireFormat) -> None:
    assert told(wire, "gpt-4.1-mini", parallel_tool_calls=False) == told(wire, "gpt-4.1-mini")


@pytest.mark.parametrize(
    ("wire", "model", "effort", "place", "sent"),
    [
        (OPENAI, "gpt-5-mini", "minimal", "reasoning_effort", "minimal"),
        (OPENAI, "o3", "high", "reasoning_effort", "high"),
        (OPENAI, "gpt-4.1-mini", "low", "reasoning_effort", None),
        (OPENAI, "deepseek-chat", "low", "reasoning_effort", None),
        (ANTHROPIC, "claude-opus-4-5", "low", "output_config", {"effort": "low"}),
        (ANTHROPIC, "claude-sonnet-4-6", "high", "output_config", {"effort": "high"}),
        (ANTHROPIC, "claude-sonnet-4-6", "xhigh", "output_config", None),
        (ANTHROPIC, "claude-opus-4-7", "xhigh", "output_config", {"effort": "xhigh"}),
        (ANTHROPIC, "claude-sonnet-5", "medium", "output_config", {"effort": "medium"}),
        (ANTHROPIC, "claude-sonnet-5", "minimal", "output_config", None),
        (ANTHROPIC, "claude-sonnet-5", "none", "output_config", None),
        (ANTHROPIC, "claude-haiku-4-5", "low", "output_config", None),
        (ANTHROPIC, "claude-sonnet-4-5", "low", "output_config", None),
        (ANTHROPIC, "some-proxy-name", "low", "output_config", None),
        (GEMINI, "gemini-2.5-flash", "none", "generationConfig", {"thinkingBudget": 0}),
        (GEMINI, "gemini-2.5-flash", "low", "generationConfig", {"thinkingBudget": 1024}),
        (GEMINI, "models/gemini-2.5-pro", "high", "generationConfig", {"thinkingBudget": 24576}),
        (GEMINI, "gemini-2.5-pro", "none", "generationConfig", None),
        (GEMINI, "gemini-2.5-flash", "xhigh", "generationConfig", None),
        (GEMINI, "gemini-2.5-flash-preview-tts", "low", "generationConfig", None),
        (GEMINI, "gemini-2.0-flash", "low", "generationConfig", None),
        (GEMINI, "gemini-3-pro-preview", "low", "generationConfig", {"thinkingLevel": "low"}),
        (GEMINI, "gemini-3-pro-preview", "medium", "generationConfig", None),
        (GEMINI, "gemini-3.1-pro-preview", "medium", "generationConfig", {"thinkingLevel": "medium"}),
        (GEMINI, "gemini-3.1-pro-preview", "minimal", "generationConfig", None),
        (GEMINI, "gemini-3-flash-preview", "minimal", "generationConfig", {"thinkingLevel": "minimal"}),
        (GEMINI, "gemini-3-flash-preview", "none", "generationConfig", None),
    ],
)
def test_effort_is_told_to_models_that_have_it_and_named_else(
    wire: WireFormat, model: str, effort: str, place: str, sent: Any
) -> None:
    document = told(wire, model, reasoning_effort=effort)
    expected = {"thinkingConfig": sent} if wire is GEMINI and sent else sent
    assert document.get(place) == expected
    assert document["dropped"] == (() if sent else ("reasoning_effort",))

"""Any valid history, written for any target, breaks none of the rules of the real APIs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.api.openai import conversation
from app.domain.catalog import Provider, WireFormat
from app.errors import Unsupported
from app.providers.base import ChatRequest, Endpoint
from app.providers.wire.formats import FORMATS
from tests.support import refusals

#: format, provider, model, the rules
TARGETS: dict[str, tuple[WireFormat, str, str, Any]] = {
    "openai": (WireFormat.OPENAI, "openai", "gpt-4.1-mini", lambda body: refusals.openai(body, "openai")),
    "deepseek": (WireFormat.OPENAI, "deepseek", "deepseek-reasoner", lambda body: refusals.openai(body, "deepseek")),
    "mistral": (WireFormat.OPENAI, "compat", "mistral-large-latest", lambda body: refusals.openai(body, "mistral")),
    "groq": (WireFormat.OPENAI, "groq", "llama-3.3-70b", lambda body: refusals.openai(body, "groq")),
    "google": (WireFormat.OPENAI, "google", "gemini-3-pro-preview", lambda body: refusals.openai(body, "google")),
    "compat": (WireFormat.OPENAI, "compat", "m", lambda body: refusals.openai(body, "any")),
    "claude": (WireFormat.ANTHROPIC, "anthropic", "claude-haiku-4-5", refusals.anthropic),
    "opus": (
        WireFormat.ANTHROPIC,
        "anthropic",
        "claude-opus-4-6",
        lambda body: refusals.anthropic(body, takes_prefill=False),
    ),
    "gemini": (WireFormat.GEMINI, "gemini", "gemini-2.5-flash", refusals.gemini),
    "gemini3": (
        WireFormat.GEMINI,
        "gemini",
        "gemini-3-pro-preview",
        lambda body: refusals.gemini(body, signed=True),
    ),
}

WORDS = st.sampled_from(["", " ", "\n\n", "hi", "Grüße 👋", "ends in space \n", '{"a": 1}', "null", "[1]"]) | st.text(
    max_size=5
)
SAID = st.sampled_from(["hi", "a dog", "42\n", " x"])
IDS = st.sampled_from(["call_0", "call_1", "functions.f:0", "a b", "toolu_" + "x" * 80, "é", "abcdefghi", "call.0"])
NAMES = st.sampled_from(["f", "g", "mcp.server/tool", "2fast", "w" * 90, "é", "a b", "a_b", "f:x"])
MARK = st.none() | st.just({"type": "ephemeral"})
SOURCES = st.sampled_from(
    [
        "data:image/png;base64,iVBORw0KGgo=",
        "data:image/jpg;base64,/9j/AA==",
        "data:IMAGE/PNG;charset=utf-8;base64,iVBORw0KGgo=",
        "data:;base64,iVBORw0KGgo=",
        "https://h/x.png",
    ]
)
ARGUMENTS = st.sampled_from(["", "{}", '{"a": "b"}', "{half", "[1]", "null", "NaN", '{"a": NaN}', '{"a": 1e999}'])
SIGNED = st.sampled_from([None, {"google": {"thought_signature": "c2ln"}}, {"other": 1}])
THOUGHTS = st.sampled_from(
    [
        None,
        [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln", "index": 0}],
        [{"type": "redacted_thinking", "data": "eA=="}, {"type": "thinking", "thinking": "Hm."}],
        [{"type": "thinking", "thinking": "Hm.", "signature": ""}],
    ]
)
SCHEMAS = st.sampled_from(
    [
        None,
        {},
        {"type": "object", "properties": {"a": {"type": "string"}}},
        {"properties": {"a": {"type": "string"}}},
        {"type": "object", "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {"oneOf": [{"type": "object", "properties": {"a": {}}}, {"type": "null"}]},
        {"$defs": {"x": {"allOf": [{"$ref": "#/$defs/x"}]}}, "$ref": "#/$defs/x"},
        {"allOf": [{"properties": {"a": {}}, "required": ["a"]}, {"anyOf": [{"properties": {"b": {}}}]}]},
        {"type": ["object", "null"], "properties": {}},
        {"type": "object", "properties": {"a": {"type": "array"}, "b": {"anyOf": [{"type": ["array", "null"]}]}}},
        {"type": "object", "properties": {}, "not": {"required": ["a"]}},
    ]
)


def without_none(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


@st.composite
def parts(draw: st.DrawFn, *, images: bool) -> list[dict[str, Any]]:
    written = [
        without_none(type="text", text=draw(WORDS), cache_control=draw(MARK)) for _ in range(draw(st.integers(0, 3)))
    ]
    if images and draw(st.booleans()):
        place = draw(st.integers(0, len(written)))
        written.insert(place, {"type": "image_url", "image_url": {"url": draw(SOURCES), "detail": "low"}})
    return written


def content(*, images: bool) -> st.SearchStrategy[Any]:
    return WORDS | parts(images=images)


@st.composite
def step(draw: st.DrawFn) -> list[dict[str, Any]]:
    """An assistant's turn, with the results of its calls somewhere behind it."""
    calls: list[dict[str, Any]] = [
        without_none(
            id=draw(IDS),
            type="function",
            function={"name": draw(NAMES), "arguments": draw(ARGUMENTS)},
            extra_content=draw(SIGNED),
        )
        for _ in range(draw(st.integers(0, 3)))
    ]
    said = without_none(
        role="assistant",
        content=draw(st.none() | content(images=False)),
        refusal=draw(st.none() | SAID),
        reasoning_content=draw(st.none() | WORDS),
        thinking_blocks=draw(THOUGHTS),
        extra_content=draw(SIGNED),
        reasoning_details=draw(st.none() | st.just([{"type": "reasoning.text", "text": "Hm."}])),
        tool_calls=calls or None,
    )
    results: list[dict[str, Any]] = [
        {"role": "tool", "tool_call_id": call["id"], "content": draw(content(images=True))} for call in calls
    ]
    between = [
        {"role": draw(st.sampled_from(["user", "system"])), "content": "by the way"}
        for _ in range(draw(st.integers(0, 1)))
    ]
    kept = results if draw(st.booleans()) else results[1:]
    return [said, *draw(st.permutations([*kept, *between]))]


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    speaker = st.builds(
        without_none,
        role=st.sampled_from(["user", "user", "system", "developer"]),
        name=st.none() | st.just("anna"),
        content=content(images=False),
        cache_control=MARK,
    )
    seen = st.builds(lambda said: {"role": "user", "content": said}, parts(images=True))
    groups = draw(
        st.lists(st.one_of(speaker.map(lambda turn: [turn]), seen.map(lambda turn: [turn]), step()), max_size=6)
    )
    said = {"role": draw(st.sampled_from(["user", "system", "assistant"])), "content": draw(SAID)}
    place = draw(st.integers(0, len(groups)))
    return [turn for group in (*groups[:place], [said], *groups[place:]) for turn in group]


TOOLS = st.dictionaries(NAMES, st.tuples(SCHEMAS, MARK, st.sampled_from([None, True])), max_size=4)


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=60, deadline=None)
@given(messages=histories(), tools=TOOLS)
def test_no_valid_history_breaks_a_rule(
    target: str, messages: list[dict[str, Any]], tools: dict[str, tuple[Any, Any, Any]]
) -> None:
    wire, name, model, check = TARGETS[target]
    provider = Provider(name=name, format=wire, base_url="http://h", key_env=None, models=(model,))
    definitions = tuple(
        without_none(
            type="function",
            function=without_none(name=name, parameters=schema, strict=strict),
            cache_control=mark,
        )
        for name, (schema, mark, strict) in tools.items()
    )
    request = ChatRequest(conversation.read(messages), tools=definitions)
    try:
        outgoing = FORMATS[wire].build(Endpoint(provider, ""), model, request, False)
    except Unsupported:
        assert target == "deepseek"  # it takes no images
        return
    assert check(json.loads(outgoing.body)) == []

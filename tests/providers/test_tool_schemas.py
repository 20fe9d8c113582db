"""The schema of a tool as a target takes it, and nothing else about it changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.catalog import Provider, WireFormat
from app.lab.refusals import table
from app.lab.refusals.rule import Kind
from app.providers.base import ChatRequest, Endpoint, Message
from app.providers.wire.formats import FORMATS

OPEN = {"type": "object", "properties": {"a": {"type": "array"}, "b": {"anyOf": [{"type": ["array", "null"]}]}}}
SAID = {
    "type": "object",
    "properties": {
        "a": {"type": "array", "items": {}},
        "b": {"anyOf": [{"type": ["array", "null"], "items": {}}]},
    },
}
TUPLE = {"type": "array", "prefixItems": [{"type": "integer"}], "minItems": 1}


def written(name: str, schema: dict[str, Any], model: str = "m") -> tuple[dict[str, Any], tuple[str, ...]]:
    """The whole body, and what was left out."""
    provider = Provider(name=name, format=WireFormat.OPENAI, base_url="http://h", key_env=None, models=(model,))
    tools = ({"type": "function", "function": {"name": "f", "parameters": schema}},)
    request = ChatRequest((Message("user", "hi"),), tools=tools)
    outgoing = FORMATS[WireFormat.OPENAI].build(Endpoint(provider, ""), model, request, False)
    return json.loads(outgoing.body), outgoing.dropped


def parameters(name: str, schema: dict[str, Any]) -> Any:
    return written(name, schema)[0]["tools"][0]["function"]["parameters"]


@pytest.mark.parametrize(("name", "told"), [("openai", SAID), ("gemini", SAID), ("groq", OPEN), ("compat", OPEN)])
def test_an_array_says_of_what_where_it_must(name: str, told: dict[str, Any]) -> None:
    assert parameters(name, OPEN) == told


def test_a_tuple_stays_one() -> None:
    schema = {"type": "object", "properties": {"a": TUPLE, "items": {"type": "string"}, "array": {"const": "array"}}}
    properties = {**schema["properties"], "a": {**TUPLE, "items": {}}}
    assert parameters("openai", schema) == {**schema, "properties": properties}


def test_what_openai_refuses_at_the_root_is_named() -> None:
    schema = {"type": "object", "properties": {"a": {"not": {}}}, "not": {"required": ["a"]}, "enum": [{}]}
    body, dropped = written("openai", schema)
    assert body["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {"a": {"not": {}}}}
    assert set(dropped) == {"tools.parameters.not", "tools.parameters.enum"}
    assert parameters("compat", schema) == schema


@pytest.mark.parametrize(("name", "kind"), [("openai", Kind.OPENAI), ("gemini", Kind.GEMINI_OPENAI)])
@pytest.mark.parametrize("schema", [OPEN, {"anyOf": [OPEN]}, {"type": "object", "not": {}}, {"$defs": {"x": TUPLE}}])
def test_the_lab_takes_it(name: str, kind: Kind, schema: dict[str, Any]) -> None:
    assert list(table.offences(kind, "m", written(name, schema)[0], {})) == []

"""Schemas and bodies that are too deep, too large, or none: refused by their field, and never our failure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import bootstrap
from app.api import create_app
from app.api.openai import schemas
from app.errors import InvalidRequest
from tests.support.system import System

ASK = {"model": "auto", "messages": [{"role": "user", "content": "x"}]}
SCHEMA, TOOL = "response_format.json_schema.schema", "tools.0.function.parameters"


def nested(levels: int, name: str = "not") -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        schema = {name: schema}
    return schema


#: (schema, what the field says behind the schema's own)
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"anyOf": 5}, ".anyOf"),
    ({"anyOf": {"a": {}}}, ".anyOf"),
    ({"oneOf": "x"}, ".oneOf"),
    ({"allOf": [5]}, ".allOf.0"),
    ({"anyOf": [{"enum": 5}]}, ".anyOf.0.enum"),
    ({"enum": 5}, ".enum"),
    ({"enum": {"a": 1}}, ".enum"),
    ({"type": 5}, ".type"),
    ({"type": ["object", 5]}, ".type"),
    ({"properties": []}, ".properties"),
    ({"properties": {"a": 5}}, ".properties.a"),
    ({"properties": {"a": {"items": {"type": {}}}}}, ".properties.a.items.type"),
    ({"$defs": {"a": [1]}}, ".$defs.a"),
    ({"items": 5}, ".items"),
    ({"items": [{}, "x"]}, ".items.1"),
    ({"not": []}, ".not"),
    ({"required": "a"}, ".required"),
    ({"required": [1]}, ".required"),
    ({"$ref": 5}, ".$ref"),
    ({"minimum": "1"}, ".minimum"),
    ({"maxLength": {}}, ".maxLength"),
    ({"description": 5}, ".description"),
    ({"default": float("inf")}, ".default"),
    (nested(101), ""),
    (nested(150, "items"), ""),
    ({"default": nested(150)}, ""),
    ({"enum": list(range(schemas.LARGEST))}, ""),
]
RIGHT: list[dict[str, Any]] = [
    {},
    {"type": "object", "properties": {"enum": {"type": "integer"}, "anyOf": {"enum": [1, None, "x"]}}},
    {"properties": {"a": True, "b": False}, "additionalProperties": False, "required": ["a"]},
    {"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"type": ["object", "null"]}}},
    {"items": [{"type": "string"}], "minItems": 1, "maximum": 1.5, "exclusiveMinimum": True},
    {"default": {"anyOf": 5, "enum": 5}, "examples": [{"type": 5}], "const": {"enum": 5}, "x-vendor": 5},
    {"required": None, "anyOf": None, "enum": None, "properties": None},
    nested(90),
]


@pytest.mark.parametrize(("schema", "behind"), WRONG)
def test_what_is_no_schema_is_refused_by_its_field(schema: dict[str, Any], behind: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        schemas.check(schema, SCHEMA)

    assert refused.value.field == SCHEMA + behind


@pytest.mark.parametrize("schema", RIGHT)
def test_a_schema_is_taken_whatever_its_words_mean(schema: dict[str, Any]) -> None:
    schemas.check(schema, SCHEMA)


def test_tools_share_the_bound_on_size() -> None:
    half = {"enum": list(range(schemas.LARGEST // 2))}
    with pytest.raises(InvalidRequest) as refused:
        schemas.check_tools([{"function": {"name": "f", "parameters": half}}] * 2)

    assert refused.value.field == "tools.1.function.parameters"


@pytest.fixture
def client(system: System) -> Iterator[FlaskClient]:
    running = bootstrap.start(system.services, seed=1)
    yield create_app(running).test_client()
    running.stop()


def field_of(client: FlaskClient, **other: Any) -> tuple[int, str]:
    answer = client.post("/v1/chat/completions", json={**ASK, **other})
    return answer.status_code, answer.get_json()["error"]["param"]


def test_the_api_names_the_field_of_a_schema_it_refuses(client: FlaskClient) -> None:
    for schema, behind in WRONG:
        if behind == ".default":
            continue  # the test's own JSON has no word for it
        wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
        assert field_of(client, response_format=wanted) == (400, SCHEMA + behind)
        function = {"type": "function", "function": {"name": "f", "parameters": schema}}
        assert field_of(client, tools=[function]) == (400, TOOL + behind)
    for function, behind in (({}, ""), ({"name": 5}, ""), ({"name": "f", "description": 5}, ".description")):
        assert field_of(client, tools=[{"type": "function", "function": function}]) == (
            400,
            "tools.0.function" + behind,
        )


@pytest.mark.parametrize("levels", [190, 250, 500, 900, 990, 1_000, 5_000, 100_000])
def test_a_deep_body_is_refused_by_its_field(client: FlaskClient, levels: int) -> None:
    deep = '{"not":' * levels + "{}" + "}" * levels
    tools = '[{"type": "function", "function": {"name": "f", "parameters": ' + deep + "}}]"
    wanted = '{"type": "json_schema", "json_schema": {"name": "n", "schema": ' + deep + "}}"
    part = '[{"role": "user", "content": [{"type": "image_url", "image_url": ' + deep + "}]}]"
    for name, value in (("tools", tools), ("response_format", wanted), ("metadata", deep), ("messages", part)):
        body = f'{{"model": "auto", "messages": [{{"role": "user", "content": "x"}}], "{name}": {value}}}'
        answer = client.post("/v1/chat/completions", data=body, content_type="application/json")
        if levels > 200 or name in ("tools", "response_format"):
            assert (answer.status_code, answer.get_json()["error"]["param"].partition(".")[0]) == (400, name)
        else:
            assert answer.status_code in (200, 400)

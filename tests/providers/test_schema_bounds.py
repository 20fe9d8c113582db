"""The work on a schema is that of reading it, however its parts name each other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.errors import Unsupported
from app.lab import text
from app.providers.base import ChatRequest, JsonSchema, Message, ToolCall
from app.providers.wire import history
from app.providers.wire.answers_object import is_of_objects
from app.providers.wire.content import as_tool


def asked(schema: dict[str, object]) -> tuple[ChatRequest, JsonSchema]:
    wanted = JsonSchema("o", schema)
    return ChatRequest(messages=(Message("user", "hi"),), json_schema=wanted), wanted


def levels(count: int, alternatives: int) -> dict[str, object]:
    """`alternatives`^`count` ways through it, in a few kilobytes."""
    named: dict[str, object] = {f"d{count}": {"type": "object"}}
    for level in range(count):
        named[f"d{level}"] = {"anyOf": [{"$ref": f"#/$defs/d{level + 1}"} for _ in range(alternatives)]}
    return {"$defs": named, "anyOf": [{"$ref": "#/$defs/d0"}]}


def test_a_schema_of_30_to_the_9th_ways_is_read_once() -> None:
    assert as_tool(*asked(levels(9, 30))).tools


def test_an_alternative_at_the_end_of_all_ways_is_still_seen() -> None:
    schema = levels(9, 30)
    schema["$defs"]["d9"] = {"type": "string"}  # type: ignore[index]  # it is a dict of dicts
    with pytest.raises(Unsupported):
        as_tool(*asked(schema))


class Counted(dict[str, Any]):
    """A schema that counts how often it is looked into."""

    looks = 0

    def get(self, *args: Any) -> Any:
        Counted.looks += 1
        return super().get(*args)

    def __getitem__(self, name: str) -> Any:
        Counted.looks += 1
        return super().__getitem__(name)


def counted(value: Any) -> Any:
    if isinstance(value, dict):
        return Counted({name: counted(each) for name, each in value.items()})
    return [counted(each) for each in value] if isinstance(value, list) else value


def chain(length: int) -> dict[str, Any]:
    """Each names the next, the last the first that is an object, and the root names all of them."""
    named: dict[str, Any] = {f"d{i}": {"$ref": f"#/$defs/d{i + 1}"} for i in range(length)}
    return {
        "$defs": {**named, f"d{length}": {"type": "object"}},
        "anyOf": [{"$ref": f"#/$defs/d{i}"} for i in range(length)],
    }


def ring(length: int) -> dict[str, Any]:
    return {**chain(length), "$defs": {f"d{i}": {"$ref": f"#/$defs/d{(i + 1) % length}"} for i in range(length)}}


@pytest.mark.parametrize(("shape", "objects"), [(chain, True), (ring, False), (lambda n: levels(n, 5), True)])
def test_twice_the_schema_is_twice_the_work(shape: Any, objects: bool) -> None:
    looks = []
    for size in (200, 400):
        Counted.looks = 0
        assert is_of_objects(counted(shape(size))) is objects
        looks.append(Counted.looks)

    assert looks[1] <= 2.1 * looks[0]


@pytest.mark.parametrize(
    ("schema", "objects"),
    [
        ({}, True),
        ({"anyOf": [{"type": "object"}, {"$ref": "#"}]}, True),
        ({"allOf": [{"type": "object"}, {"properties": {"me": {"$ref": "#"}}}]}, True),
        ({"type": "object", "properties": {"next": {"$ref": "#"}}}, True),
        ({"enum": [{}]}, True),
        # what nothing fits
        ({"anyOf": [{"$ref": "#"}]}, False),
        ({"oneOf": [{"$ref": "#"}, {"anyOf": [{"$ref": "#"}]}]}, False),
        ({"allOf": [{"type": "object"}, {"$ref": "#"}]}, False),
        ({"$ref": "#"}, False),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}, False),
        # what is no schema, or one of something else
        ({"anyOf": 5}, False),
        ({"anyOf": {"a": 1}}, False),
        ({"anyOf": [5]}, False),
        ({"allOf": "x"}, False),
        ({"enum": 5}, False),
        ({"enum": "x"}, False),
        ({"enum": [{}, 5]}, False),
        ({"const": None}, False),
        ({"$ref": 5}, False),
        ({"$ref": "#/nowhere"}, False),
        ({"type": 5}, False),
        ({"type": ["object", "null"]}, False),
    ],
)
def test_whether_nothing_but_an_object_fits(schema: dict[str, Any], objects: bool) -> None:
    assert is_of_objects(schema) is objects


def test_arguments_too_deep_to_be_written_again_go_on_as_text() -> None:
    deep = '{"a":' * 900 + "1" + "}" * 900

    assert history.arguments(ToolCall("c", "f", deep)) == {history.BROKEN_ARGUMENTS: deep}


def wide(levels: int, names: int) -> dict[str, Any]:
    """`names`^`levels` values, in a few kilobytes."""
    part = {"type": "object", "properties": {f"p{i}": {"$ref": "#/$defs/d0"} for i in range(names)}}
    named = {f"d{i}": json.loads(json.dumps(part).replace("d0", f"d{i + 1}")) for i in range(levels)}
    return {"$defs": {**named, f"d{levels}": {"type": "string"}}, "$ref": "#/$defs/d0"}


@pytest.mark.parametrize("schema", [wide(12, 10), wide(50, 30)])
def test_an_example_has_an_end(schema: dict[str, Any]) -> None:
    made = counted_values(text.example(schema))
    assert text.VALUES / 3 < made <= text.VALUES


def counted_values(value: Any) -> int:
    return 1 + sum(map(counted_values, value.values())) if isinstance(value, dict) else 1


@pytest.mark.parametrize("given", ["x", 5, None, [], {}, [5], {"a": 5}, True])
@pytest.mark.parametrize("name", ["anyOf", "enum", "$ref", "type", "properties", "required", "items", "minimum"])
def test_an_example_of_what_is_no_schema_is_some_value(name: str, given: object) -> None:
    for kind in ("object", "array", "integer"):
        json.dumps(text.example({"type": kind, name: given}))

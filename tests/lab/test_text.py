from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.lab.text import example, tokens


@given(st.text())
def test_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(tokens(text)) == text


def test_english_has_about_four_characters_in_a_token() -> None:
    text = "The quick brown fox jumps over the lazy dog, and nobody was surprised by that at all. " * 10
    assert 3 <= len(text) / len(tokens(text)) <= 5.5


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "example"),
        ({"type": "string", "enum": ["celsius", "kelvin"]}, "celsius"),
        ({"const": 7}, 7),
        ({"type": "integer", "minimum": 5}, 5),
        ({"type": ["boolean", "null"]}, True),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, 1.5),
        ({"type": "array", "items": {"type": "integer"}}, [1]),
        # Gemini writes types in capitals
        ({"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}, {"city": "example"}),
        # only what is required
        ({"properties": {"a": {"type": "null"}, "b": {"type": "string"}}, "required": ["a"]}, {"a": None}),
        ({"type": "object"}, {}),
        # named elsewhere in the schema, as pydantic writes models within models
        (
            {"$ref": "#/$defs/A", "$defs": {"A": {"type": "array", "items": {"$ref": "#/$defs/B"}}, "B": {"const": 2}}},
            [2],
        ),
        ({}, "example"),
    ],
)
def test_an_example_fits_its_schema(schema: dict[str, Any], value: Any) -> None:
    assert example(schema) == value


def test_an_example_of_a_schema_that_holds_itself_comes_to_an_end() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#"}, "all": {"type": "array", "items": {"$ref": "#"}}}}
    tree = example(node | {"properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}})
    depth = 0
    while tree is not None:
        tree, depth = tree["next"], depth + 1
    assert depth > 1


def test_an_example_of_a_schema_that_must_hold_itself_comes_to_an_end() -> None:
    held = {"type": "object", "properties": {"self": {"$ref": "#"}}, "required": ["self"]}

    assert set(example(held)) == {"self"}
    assert example({"$ref": "#/$defs/nowhere"}) == "example"

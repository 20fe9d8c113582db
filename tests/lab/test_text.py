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
        ({}, "example"),
    ],
)
def test_an_example_fits_its_schema(schema: dict[str, Any], value: Any) -> None:
    assert example(schema) == value

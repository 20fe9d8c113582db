"""Tokens, and values made up from a JSON schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_TOKEN = re.compile(r"\s?\w{1,6}|\s?[^\w\s]|\s+")
_PLAIN = {"integer": 1, "number": 1.5, "boolean": True, "null": None, "string": "example"}


def tokens(text: str) -> list[str]:
    """`text` in pieces about as long as a model's tokens; joined they are the text again."""
    return _TOKEN.findall(text)


def example(schema: Mapping[str, Any]) -> Any:
    """A small value that fits a JSON schema (also Gemini's, whose types are in capitals)."""
    for given in ("const", "default"):
        if given in schema:
            return schema[given]
    if schema.get("enum"):
        return schema["enum"][0]
    if schema.get("anyOf"):
        return example(schema["anyOf"][0])
    match _kind(schema):
        case "object":
            properties = schema.get("properties") or {}
            return {name: example(properties.get(name, {})) for name in schema.get("required") or properties}
        case "array":
            return [example(schema.get("items") or {})]
        case "integer" | "number" as kind if "minimum" in schema:
            return max(_PLAIN[kind], schema["minimum"])
        case kind:
            return _PLAIN.get(kind, "example")


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return str(kind[0] if isinstance(kind, list) else kind).lower()

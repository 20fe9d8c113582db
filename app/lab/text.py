"""Tokens, and values made up from a JSON schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_TOKEN = re.compile(r"\s?\w{1,6}|\s?[^\w\s]|\s+")
#: schemas within schemas, where one that holds itself has to come to an end
_DEEP = 20
#: where even what is required goes on for ever
_DEEPEST = 60
_PLAIN = {"integer": 1, "number": 1.5, "boolean": True, "null": None, "string": "example"}


def tokens(text: str) -> list[str]:
    """`text` in pieces about as long as a model's tokens; joined they are the text again."""
    return _TOKEN.findall(text)


def example(schema: Mapping[str, Any]) -> Any:
    """A small value that fits a JSON schema (also Gemini's, whose types are in capitals)."""
    return _example(schema, schema, 0)


def _example(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    """`root` holds what a $ref names; deeper than any sensible schema, a list is empty and an alternative the last."""
    if depth > _DEEPEST:
        return {}
    for given in ("const", "default"):
        if given in schema:
            return schema[given]
    if schema.get("enum"):
        return schema["enum"][0]
    if "$ref" in schema:
        return _example(_named(schema["$ref"], root), root, depth + 1)
    if alternatives := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return _example(alternatives[-1 if depth > _DEEP else 0], root, depth + 1)
    match _kind(schema):
        case "object":
            properties = schema.get("properties") or {}
            names = schema.get("required") or properties
            return {name: _example(properties.get(name, {}), root, depth + 1) for name in names}
        case "array":
            return [] if depth > _DEEP else [_example(schema.get("items") or {}, root, depth + 1)]
        case "integer" | "number" as kind if "minimum" in schema:
            return max(_PLAIN[kind], schema["minimum"])
        case kind:
            return _PLAIN.get(kind, "example")


def _named(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        found = found.get(step, {}) if step and isinstance(found, Mapping) else found
    return found if isinstance(found, Mapping) else {}


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return str(kind[0] if isinstance(kind, list) else kind).lower()

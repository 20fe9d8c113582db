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
#: in one example: a schema of a few kilobytes can want more than there are atoms
VALUES = 10_000
_PLAIN: dict[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "null": None, "string": "example"}


def tokens(text: str) -> list[str]:
    """`text` in pieces about as long as a model's tokens; joined they are the text again."""
    return _TOKEN.findall(text)


def example(schema: Mapping[str, Any]) -> Any:
    """A small value that fits a JSON schema (also Gemini's, whose types are in capitals).

    Of a schema that wants more than VALUES values, or is none, a part that may not fit.
    """
    return _Example(schema).of(schema, 0)


class _Example:
    """One value in the making; `root` holds what a $ref names."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = VALUES
        self._named: dict[str, object] = {}

    def of(self, schema: object, depth: int) -> Any:
        """Deeper than any sensible schema, a list is empty and an alternative the last."""
        self._left -= 1
        if self._left < 0 or depth > _DEEPEST or not isinstance(schema, Mapping):
            return {}
        for given in ("const", "default"):
            if given in schema:
                return schema[given]
        if values := _list(schema.get("enum")):
            return values[0]
        if isinstance(reference := schema.get("$ref"), str):
            return self.of(self._target(reference), depth + 1)
        for several in ("anyOf", "oneOf", "allOf"):
            if alternatives := _list(schema.get(several)):
                return self.of(alternatives[-1 if depth > _DEEP else 0], depth + 1)
        return self._plain(schema, depth)

    def _plain(self, schema: Mapping[str, Any], depth: int) -> Any:
        match _kind(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return [] if depth > _DEEP else [self.of(schema.get("items") or {"type": "string"}, depth + 1)]
            case "integer" | "number" as kind if isinstance(least := schema.get("minimum"), int | float):
                return max(_PLAIN[kind], least)
            case kind:
                return _PLAIN.get(kind, "example")

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        made: dict[str, Any] = {}
        for name in _list(schema.get("required")) or properties:
            if self._left <= 0:
                break
            made[str(name)] = self.of(properties.get(name, {"type": "string"}), depth + 1)
        return made

    def _target(self, reference: str) -> object:
        if reference not in self._named:
            found: object = self._root
            for step in reference.removeprefix("#").strip("/").split("/"):
                if step:
                    found = found.get(step, {}) if isinstance(found, Mapping) else {}
            self._named[reference] = found
        return self._named[reference]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return str(kind[0] if kind and isinstance(kind, list) else kind).lower()

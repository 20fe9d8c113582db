"""How the tables about Gemini look at a body, in which every name may be written in two ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from pydantic.alias_generators import to_camel, to_snake

from app.lab.refusals.rule import Body

#: kept, because there are few names and the lab has to be on time
snake = lru_cache(maxsize=1024)(to_snake)
_camel = lru_cache(maxsize=1024)(to_camel)

Located = Iterator[tuple[str, Mapping[str, Any]]]


def get(value: Any, name: str) -> Any:
    """By its lowerCamelCase or its snake_case name, of which `name` is the second."""
    if not isinstance(value, Mapping):
        return None
    return value[name] if name in value else value.get(_camel(name))


def turns(body: Body) -> Located:
    for number, content in enumerate(body["contents"]):
        yield f"contents.{number}", content


def parts(path: str, content: Mapping[str, Any]) -> Located:
    for number, part in enumerate(content.get("parts") or ()):
        if isinstance(part, Mapping):
            yield f"{path}.parts.{number}", part


def all_parts(body: Body) -> Located:
    for path, content in turns(body):
        yield from parts(path, content)


def calls(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return _held(content, "function_call")


def responses(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return _held(content, "function_response")


def _held(content: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = [get(part, name) for _, part in parts("", content)]
    return [each for each in found if isinstance(each, Mapping)]


def functions(body: Body) -> Located:
    """The functions offered."""
    for number, tool in enumerate(body.get("tools") or ()):
        for place, function in enumerate(get(tool, "function_declarations") or ()):
            yield f"tools.{number}.function_declarations.{place}", function

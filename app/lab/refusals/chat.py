"""How the tables of the OpenAI format look at a body: what is there, and where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.lab.refusals.rule import Body


def messages(body: Body, *roles: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Path and message; `roles`: those alone."""
    for number, message in enumerate(body.get("messages") or ()):
        if isinstance(message, Mapping) and (not roles or message.get("role") in roles):
            yield f"messages.{number}", message


def parts(path: str, message: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    content = message.get("content")
    for number, part in enumerate(content if isinstance(content, list) else ()):
        if isinstance(part, Mapping):
            yield f"{path}.content.{number}", part


def all_parts(body: Body, *roles: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, message in messages(body, *roles):
        yield from parts(path, message)


def calls(path: str, message: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, call in enumerate(message.get("tool_calls") or ()):
        if isinstance(call, Mapping):
            yield f"{path}.tool_calls.{number}", call


def call_ids(message: Mapping[str, Any]) -> list[str]:
    return [str(call.get("id")) for _, call in calls("", message)]


def functions(body: Body) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The functions offered."""
    for number, tool in enumerate(body.get("tools") or ()):
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if isinstance(function, Mapping):
            yield f"tools.{number}.function", function


def current_turn(body: Body) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Assistant turns behind the last word of the user's that call tools: the loop that is still going on."""
    last = max((n for n, m in enumerate(body.get("messages") or ()) if m.get("role") == "user"), default=-1)
    for path, message in messages(body, "assistant"):
        if int(path.split(".")[1]) > last and message.get("tool_calls"):
            yield path, message


def text_of(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text") or "") for _, part in parts("", message))

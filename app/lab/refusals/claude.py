"""How the tables about Anthropic look at a body."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.lab.refusals.rule import Body

_VERSION = re.compile(r"claude-(?:[a-z]+-)?(?P<major>\d+)(?:-(?P<minor>\d{1,2})(?!\d))?")

Located = Iterator[tuple[str, Mapping[str, Any]]]


def generation(model: str) -> tuple[int, int]:
    """`claude-haiku-4-5` → (4, 5); `claude-3-opus` → (3, 0); no version: before them all."""
    found = _VERSION.search(model)
    return (int(found["major"]), int(found["minor"] or 0)) if found else (0, 0)


def messages(body: Body, *roles: str) -> Located:
    for number, message in enumerate(body["messages"]):
        if not roles or message["role"] in roles:
            yield f"messages.{number}", message


def blocks(path: str, message: Mapping[str, Any]) -> Located:
    content = message.get("content")
    for number, block in enumerate(content if isinstance(content, list) else ()):
        if isinstance(block, Mapping):
            yield f"{path}.content.{number}", block


def all_blocks(body: Body, *types: str) -> Located:
    """Of the messages; `types`: those alone."""
    for path, message in messages(body):
        for place, block in blocks(path, message):
            if not types or block.get("type") in types:
                yield place, block


def texts(message: Mapping[str, Any]) -> list[str]:
    """What is said in a message, block by block."""
    content = message.get("content")
    if isinstance(content, str):
        return [content]
    return [str(block.get("text", "")) for _, block in blocks("", message) if block.get("type") == "text"]


def ids(message: Mapping[str, Any], kind: str, key: str) -> list[str]:
    return [str(block.get(key)) for _, block in blocks("", message) if block.get("type") == kind]


def thinks(body: Body) -> bool:
    return isinstance(body.get("thinking"), Mapping) and body["thinking"].get("type") == "enabled"

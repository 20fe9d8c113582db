"""Tokens of who counts none, by characters."""

from __future__ import annotations

import json
from collections.abc import Iterable

from app.providers.base import ChatRequest
from app.providers.wire import history

#: characters that make a token, where the provider counts none: the mean of English text
CHARACTERS_PER_TOKEN = 4


def tokens(parts: Iterable[str]) -> int:
    characters = sum(map(len, parts))
    return -(-characters // CHARACTERS_PER_TOKEN)


def written(request: ChatRequest) -> Iterable[str]:
    for message in request.messages:
        yield history.text_of(message)
        yield from (call.arguments for call in message.tool_calls)
    yield from (json.dumps(dict(tool)) for tool in request.tools)
    if request.json_schema is not None:
        yield json.dumps(dict(request.json_schema.schema))

"""Texts of a request that JSON can spell and not everybody can read: halves of surrogate pairs, NUL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.api.envelope import is_storable
from app.errors import InvalidRequest
from app.providers.wire import surrogates

#: what goes to the provider and is kept nowhere here: a tool's result may be any program's output
ANYTHING = {"messages", "input", "prompt", "suffix"}


def readable(document: Mapping[str, Any], odd: bool) -> Mapping[str, Any]:
    """The body, with U+FFFD for each lone half of a surrogate pair. `odd`: there may be some (app.api.envelope knows).

    Programs that cut a text by UTF-16 units send them, and vendors refuse them. Raises InvalidRequest for a NUL
    anywhere but in what is asked.
    """
    if not odd or is_storable(document):
        return document
    whole: dict[str, Any] = _whole(document)
    for name, value in whole.items():
        if name not in ANYTHING and not is_storable({name: value}):
            raise InvalidRequest(f"{name!r} holds a NUL character, which no name has: leave it out", field=name)
    return whole


def _whole(value: Any) -> Any:
    """Bodies are as deep as app.nesting allows."""
    if isinstance(value, str):
        return surrogates.whole(value)
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return {_whole(key): _whole(each) for key, each in value.items()} if isinstance(value, dict) else value

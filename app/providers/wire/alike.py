"""Events of a stream that differ in nothing but one piece of text, as nearly all of a long one do."""

from __future__ import annotations

from pydantic_core import from_json

from app.providers.http.sse import Event

#: events that are looked at for what they have in common with the next; the first ones often say more than their text
TRIES = 8


class Alike:
    """Knows such events again by what stands before and behind their text, so that the rest need not be read anew.

    What is the same byte for byte is the same JSON, with the same meaning: only the one string between may differ.
    """

    def __init__(self, key: str) -> None:
        """`key`: of the string that holds the text."""
        self._key = f'"{key}"'.encode()
        self._tries = TRIES
        self._name = self._before = self._behind = b""

    @property
    def learns(self) -> bool:
        return self._tries > 0

    def learn(self, event: Event, text: str) -> None:
        """An event that said this and nothing else, and changed nothing beside it."""
        self._tries -= 1
        data, raw = event.data, text.encode()
        if data.count(self._key) != 1 or text_of(raw) != text:
            return
        key_ends = data.find(self._key) + len(self._key)
        quote = data.find(b'"', key_ends)
        if data[key_ends:quote].strip() == b":" and data.startswith(raw + b'"', quote + 1):
            self._name = event.name
            self._before, self._behind = data[: quote + 1], data[quote + 1 + len(raw) :]

    def text(self, event: Event) -> str | None:
        """Of an event like the one that was learned; None: it has to be read, for it may be another."""
        data, before, behind = event.data, self._before, self._behind
        if not before or event.name != self._name or not data.startswith(before) or not data.endswith(behind):
            return None
        return text_of(data[len(before) : len(data) - len(behind)])


def text_of(raw: bytes) -> str | None:
    """What stands in quotes in JSON; None where it is empty, no such thing, or its escapes are of the seldom kind."""
    if not raw or b'"' in raw or b"\\u" in raw:
        return None
    try:
        text: str = from_json(b'"' + raw + b'"') if b"\\" in raw else raw.decode()
    except ValueError:
        return None
    return text if b"\\" in raw or text.isprintable() else None

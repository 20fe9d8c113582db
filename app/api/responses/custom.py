"""Tools of type `custom`, which take a text: told as a function with one argument, and read back from its calls."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from app.providers.wire import history, surrogates

ARGUMENT = "input"
_BEGIN = re.compile(r'\s*\{\s*"input"\s*:\s*"')
#: how far the text of a JSON string is whole: not into an escape, nor between the halves of a surrogate pair
_WHOLE = re.compile(
    r'(?:[^"\\]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4}|\\u(?![dD][89abAB])[0-9a-fA-F]{4}|\\[^u])*'
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def function(name: str, description: str | None, grammar: Mapping[str, Any] | None) -> dict[str, Any]:
    """The tool in the shape of a function. A grammar is told in words: no format has another place for one."""
    argument: dict[str, Any] = {"type": "string"}
    if grammar is not None:
        argument["description"] = f"Has to match this {grammar['syntax']} grammar:\n{grammar['definition']}"
    told: dict[str, Any] = {"name": name}
    if description:
        told["description"] = description
    told["parameters"] = {
        "type": "object",
        "properties": {ARGUMENT: argument},
        "required": [ARGUMENT],
        "additionalProperties": False,
    }
    return {"type": "function", "function": told}


def arguments(text: str) -> str:
    return json.dumps({ARGUMENT: text}, ensure_ascii=False)


class Input:
    """The text of a call, read as its arguments come."""

    def __init__(self) -> None:
        self.text = ""
        self._raw = ""
        #: of the raw arguments, so much has been read; None: the text has not begun
        self._read: int | None = None

    def more(self, arguments: str) -> str:
        """What more of the text is known."""
        self._raw += arguments
        if self._read is None:
            if (begun := _BEGIN.match(self._raw)) is None:
                return ""
            self._read = begun.end()
        found = _WHOLE.match(self._raw, self._read)
        assert found is not None
        self._read = found.end()
        more = _unescaped(found[0])
        self.text += more
        return more

    def rest(self) -> str:
        """What could not be read piece by piece: a model may write the arguments in another way, or a bare text."""
        whole = surrogates.whole(_argument(self._raw))
        if not whole.startswith(self.text) or (self._read is not None and whole == self._raw):
            return ""  # the arguments broke off: what was read of them is what there is
        more = whole[len(self.text) :]
        self.text = whole
        return more


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:  # an escape that JSON has not: models write the backslash of a regular expression by itself
        return str(json.loads(f'"{_ESCAPE.sub(_mended, text)}"', strict=False))


def _mended(escape: re.Match[str]) -> str:
    return escape[0] if escape[1] in '"\\/bfnrtu' else f"\\{escape[0]}"


def _argument(raw: str) -> str:
    try:
        document = json.loads(raw, strict=False)
    except (ValueError, RecursionError):
        return raw
    if isinstance(document, str):
        return document
    if not isinstance(document, dict) or not document:
        return "" if document == {} else raw
    value = document.get(ARGUMENT, next(iter(document.values())) if len(document) == 1 else None)
    return value if isinstance(value, str) else raw


def json_object(arguments: str) -> dict[str, Any]:
    """Of a call that has no text; {} for what is none."""
    return history.json_object(arguments) or {}

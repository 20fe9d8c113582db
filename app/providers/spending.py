"""What an answer that nobody reads says it used: found in its bytes as they pass by, whatever its shape."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.providers.base import Usage

#: bytes that are kept of the beginning and of the end
HEAD, TAIL = 64 * 1024, 256 * 1024

#: within a text of an answer its quotation marks would be escaped
_USAGE = re.compile(rb'(?<!\\)"(?:usage|usageMetadata|usage_metadata)"\s*:\s*(?=\{)')
_MODEL = re.compile(rb'(?<!\\)"(?:model|modelVersion)"\s*:\s*"([^"\\]{1,200})"')
_FORM_MODEL = re.compile(rb'name="model"\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]{1,200})\r\n')
_PATH_MODEL = re.compile(r"(?:^|/)models/([^/:]{1,200}):")
_PROMPT = ("prompt_tokens", "input_tokens", "promptTokenCount")
_COMPLETION = ("completion_tokens", "output_tokens", "candidatesTokenCount")
#: Claude counts them beside its input tokens
_BESIDE = ("cache_read_input_tokens", "cache_creation_input_tokens")
#: tokens that cost otherwise than text
_OTHERWISE = re.compile(rb'"(?:image|audio|video)_?tokens"\s*:\s*[1-9]|"modality"\s*:\s*"(?:IMAGE|AUDIO|VIDEO)"')


class Passing:
    """Of one answer."""

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""

    def note(self, piece: bytes) -> None:
        if len(self._head) < HEAD:
            taken = HEAD - len(self._head)
            self._head, piece = self._head + piece[:taken], piece[taken:]
        if piece:
            self._tail = (self._tail + piece)[-TAIL:]

    @property
    def usage(self) -> Usage | None:
        found: dict[str, Any] = {}
        for told in self._told():
            found |= {name: value for name, value in told.items() if type(value) is int and 0 <= value < 2**31}
        prompt, completion = _first(found, _PROMPT), _first(found, _COMPLETION)
        if prompt is None and completion is None:
            return None
        beside = sum(found.get(name, 0) for name in _BESIDE)
        return Usage((prompt or 0) + beside, completion or 0, cached=found.get(_BESIDE[0], 0))

    @property
    def is_of_text(self) -> bool:
        """Are its tokens those that the price list has a price for?"""
        return _OTHERWISE.search(self._head + self._tail) is None

    @property
    def model(self) -> str | None:
        return _name(_MODEL.search(self._head))

    def _told(self) -> Iterator[Mapping[str, Any]]:
        whole = self._head + self._tail
        for match in _USAGE.finditer(whole):
            text = whole[match.end() : match.end() + HEAD].decode("utf-8", "replace")
            try:
                value, _ = json.JSONDecoder().raw_decode(text)
            except ValueError:
                continue
            yield value


def asked_model(path: str, body: bytes) -> str | None:
    """The model that a request names: in its path, its JSON or its form."""
    found = _PATH_MODEL.search(path)
    if found is not None:
        return found[1]
    return _name(_MODEL.search(body, 0, HEAD)) or _name(_FORM_MODEL.search(body, 0, HEAD))


def _name(found: re.Match[bytes] | None) -> str | None:
    if found is None:
        return None
    name = found[1].decode("utf-8", "replace")
    return name if name.isprintable() else None


def _first(found: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    return next((found[name] for name in names if name in found), None)

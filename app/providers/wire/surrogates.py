"""Halves of surrogate pairs: servers that cut a text by UTF-16 units send them, and no UTF-8 holds one."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel

#: an escape of JSON: a pair, half of one (the group), or any other; or such a half as bytes
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|\\u([dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\.|(\xed[\xa0-\xbf][\x80-\xbf])",
    re.DOTALL,
)
_HALF = re.compile("[\ud800-\udfff]")
#: a half stands for itself as the private character this far behind it, while JSON is read that must not hold one
_AWAY = 0x10F800 - 0xD800
_MARK = re.compile("[\U0010f800-\U0010ffff]")


def marked(data: bytes) -> bytes:
    """JSON that can be read, with a mark in place of each lone half; what is no UTF-8 at all becomes U+FFFD."""
    return _ESCAPE.sub(_mark, data).decode("utf-8", "replace").encode()


def _mark(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return chr(int(found[1], 16) + _AWAY).encode()
    if found[2]:
        return chr(ord(found[2].decode("utf-8", "surrogatepass")) + _AWAY).encode()
    return found[0]


def mended(data: bytes) -> bytes:
    """JSON in ASCII with U+FFFD in place of each lone half."""
    if b"\\ud" not in data:  # nearly all
        return data
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], data)


def unmarked(value: Any) -> Any:
    """What was read from `marked` JSON, its halves in their places again; models are changed where they stand."""
    if isinstance(value, str):
        return _MARK.sub(lambda found: chr(ord(found[0]) - _AWAY), value)
    if isinstance(value, list):
        return [unmarked(each) for each in value]
    if isinstance(value, dict):
        return {unmarked(key): unmarked(each) for key, each in value.items()}
    if isinstance(value, BaseModel):
        for name, each in list(value.__dict__.items()):
            value.__dict__[name] = unmarked(each)
    return value


def whole(text: str) -> str:
    """Halves that belong together joined, each other one as U+FFFD: what UTF-8 can hold."""
    if text.isascii() or not _HALF.search(text):
        return text
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return _HALF.sub("\ufffd", joined)


def split(text: str) -> tuple[str, str]:
    """The text, and the first half of a pair at its end, whose other half may be in the next piece."""
    return (text[:-1], text[-1]) if text and "\ud800" <= text[-1] <= "\udbff" else (text, "")

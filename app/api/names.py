"""Texts that end up in keys, indexes, metrics and tables: short, and of printable characters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field

from app.errors import InvalidRequest

#: characters of the longest name, wherever it is given: four of them fit into one entry of an index
NAME_LIMIT = 100


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("only printable characters: no line feed, tab, control or direction mark")
    return text


#: of a segment, a request or a key, in a body
Name = Annotated[str, Field(min_length=1, max_length=NAME_LIMIT), AfterValidator(_printable)]


def listed(names: Iterable[str]) -> str:
    """Names as a header takes them: a field of a caller's may be called anything."""
    return ",".join(each.encode("unicode_escape").decode() for each in names)


def name(text: str, field: str) -> str:
    """The same for one in a header; raises InvalidRequest that names it."""
    if not 1 <= len(text) <= NAME_LIMIT or not text.isprintable():
        raise InvalidRequest(f"{field} must have 1 to {NAME_LIMIT} printable characters: got {len(text)}", field=field)
    return text

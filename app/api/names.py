"""Texts that end up in keys, indexes, metrics and tables: short, and of printable characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import quote

from pydantic import AfterValidator, Field

from app.errors import InvalidRequest

#: characters of the longest name, wherever it is given: four of them fit into one entry of an index
NAME_LIMIT = 100
#: characters of one header of ours; many a client and proxy takes 8 kB for all of them
HEADER_LIMIT = 2000
_SAFE = "".join(chr(each) for each in range(0x21, 0x7F) if chr(each) not in ",%")


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("only printable characters: no line feed, tab, control or direction mark")
    return text


#: of a segment, a request or a key, in a body
Name = Annotated[str, Field(min_length=1, max_length=NAME_LIMIT), AfterValidator(_printable)]


def is_reserved(text: str) -> bool:
    """What history says where no person has changed anything: nobody may sign so. Also where it only looks the same."""
    plain = "".join(each for each in unicodedata.normalize("NFKC", text).casefold() if each.isalnum())
    return plain in _OURS or plain.startswith("system")


#: what history calls TooLoo itself, beside system-init and system-recovery
_OURS = {"optimizer", "tooloo", "tooloooptimizer", "theoptimizer"}


def _of_a_person(text: str) -> str:
    if is_reserved(text):
        raise ValueError(f"{text!r} is what TooLoo calls itself: give another name")
    return text


#: of a key: history signs with it
OwnName = Annotated[Name, AfterValidator(_of_a_person)]


def listed(names: Iterable[str]) -> str:
    """For a header: a caller's field may have any name. The body has them as they are, and all."""
    written = ",".join(quote(each, safe=_SAFE) for each in names)
    return written if len(written) <= HEADER_LIMIT else f"{written[:HEADER_LIMIT].rpartition(',')[0]},..."


def name(text: str, field: str) -> str:
    """The same for one in a header; raises InvalidRequest that names it."""
    if not 1 <= len(text) <= NAME_LIMIT or not text.isprintable():
        raise InvalidRequest(f"{field} must have 1 to {NAME_LIMIT} printable characters: got {len(text)}", field=field)
    return text

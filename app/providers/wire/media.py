"""Images and files in data URLs, with the type as every provider knows it."""

from __future__ import annotations

from typing import NamedTuple

from app.errors import BadRequest

#: other names for a type that providers know by one name only
_PROPER = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
#: how the base64 of a type begins
_BEGINS = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi", "application/pdf"),
)
#: types that say nothing: the data has to
_VAGUE = ("", "application/octet-stream", "binary/octet-stream", "image/*", "image")
#: what stands before the data is short
_LONGEST_HEAD = 300
_LONGEST_SCHEME = 20


class Inline(NamedTuple):
    media_type: str
    #: base64
    data: str


def inline(url: str, what: str) -> Inline | None:
    """The data of a data URL; None for any other URL. Raises BadRequest where it is not base64, or of no known type."""
    if not is_inline(url):
        return None
    if (media_type := type_of(url)) is None:
        raise BadRequest(f"{what} must be a URL, or data:TYPE;base64,DATA")
    return Inline(media_type, _plain(url[url.index(",") + 1 :]))


def is_inline(url: str) -> bool:
    return url[:5].lower() == "data:"


def type_of(url: str) -> str | None:
    """Of a data URL, without a copy of its data; None where it holds none, is not base64, or of no known type.

    An image is of the type that its data has: vendors refuse one that says another.
    """
    comma = url.find(",", 5, _LONGEST_HEAD)
    named, *parameters = url[5 : max(comma, 5)].lower().split(";")
    if comma < 0 or "base64" not in (each.strip() for each in parameters) or comma + 1 == len(url):
        return None
    named = named.strip()
    seen = next((kind for begin, kind in _BEGINS if url.startswith(begin, comma + 1)), "")
    if named in _VAGUE or (named.startswith("image/") and seen.startswith("image/")):
        return seen or (named if named.partition("/")[2] not in ("", "*") else None)
    return _PROPER.get(named, named)


def is_url(url: str) -> bool:
    """Of the web, or with data of a known type in it."""
    return type_of(url) is not None if is_inline(url) else "://" in url[:_LONGEST_SCHEME]


def _plain(data: str) -> str:
    """Base64 as all vendors read it: without line breaks, in the usual alphabet, padded."""
    if "\n" in data or "\r" in data or " " in data:
        data = "".join(data.split())
    if "-" in data or "_" in data:
        data = data.replace("-", "+").replace("_", "/")
    return data + "=" * (-len(data) % 4)


def proper_url(url: str, what: str) -> str:
    """The URL; one with data in it names its type as everybody knows it, and nothing else."""
    if (found := inline(url, what)) is None:
        return url
    head = f"data:{found.media_type};base64,"
    return head + found.data

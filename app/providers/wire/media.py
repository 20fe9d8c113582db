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
#: what stands before the data is short
_LONGEST_HEAD = 300
_USUAL = tuple(f"data:image/{kind};base64," for kind in ("png", "jpeg", "gif", "webp"))


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
    return Inline(media_type, url[url.index(",") + 1 :])


def is_inline(url: str) -> bool:
    return url[:5].lower() == "data:"


def type_of(url: str) -> str | None:
    """Of a data URL, without a copy of its data; None where it is not base64, or of no known type."""
    comma = url.find(",", 5, _LONGEST_HEAD)
    named, *parameters = url[5 : max(comma, 5)].lower().split(";")
    media_type = named.strip() or next((kind for begin, kind in _BEGINS if url.startswith(begin, comma + 1)), "")
    if comma < 0 or "base64" not in (each.strip() for each in parameters) or not media_type:
        return None
    return _PROPER.get(media_type, media_type)


def proper_url(url: str, what: str) -> str:
    """The URL; one with data in it names its type as everybody knows it, and nothing else."""
    if url.startswith(_USUAL) or (found := inline(url, what)) is None:
        return url
    return f"data:{found.media_type};base64,{found.data}"

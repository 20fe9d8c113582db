"""The parts of a message's content, read into blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NoReturn

from app.errors import InvalidRequest
from app.providers.conversation import PLACE, Audio, Block, File, Image, Mark, Refusal, Text, placed
from app.providers.wire import media

#: what may stand in whose message; a tool's result may hold images, where OpenAI has text only
TAKES: Mapping[str, tuple[str, ...]] = {
    "system": ("text",),
    "developer": ("text",),
    "user": ("text", "image_url", "input_audio", "file"),
    "assistant": ("text", "refusal", "thinking", "redacted_thinking"),
    "tool": ("text", "image_url", "file"),
}
#: fields of a part, and of what stands in it
_FIELDS: Mapping[str, frozenset[str]] = {
    "text": frozenset({"text"}),
    "refusal": frozenset({"refusal"}),
    "image_url": frozenset({"image_url", "url", "detail"}),
    "file": frozenset({"file", "file_data", "file_id", "filename"}),
    "input_audio": frozenset({"input_audio", "data", "format"}),
}
#: … and of every part
_COMMON = frozenset({"type", "cache_control"})
#: thoughts of Claude's
_THOUGHTS = ("thinking", "redacted_thinking")


def read(given: object, role: str, where: str) -> tuple[tuple[Block, ...], list[dict[str, Any]]]:
    """The blocks, and thoughts of Claude's that stand among them. Raises InvalidRequest that names the field."""
    if isinstance(given, str):
        return ((Text(given),) if given else ()), []
    if not isinstance(given, list | None):
        _refuse(where, "must be a text or a list of parts")
    blocks: list[Block] = []
    thoughts: list[dict[str, Any]] = []
    said = 0
    for place, part in enumerate(given or ()):
        kind = _kind(part, role, f"{where}.{place}")
        if kind in _THOUGHTS:
            thoughts.append(part if PLACE in part else placed(part, said, 0))
        else:
            block = _READ[kind](part, f"{where}.{place}")
            said += len(block.text) if isinstance(block, Text | Refusal) else 0
            blocks.append(block)
    return tuple(blocks), thoughts


def _kind(part: object, role: str, where: str) -> str:
    if not isinstance(part, dict):
        _refuse(where, "must be an object with a type")
    kind = part.get("type")
    if kind not in TAKES[role]:
        known = any(kind in kinds for kinds in TAKES.values())
        why = f"{kind!r} does not belong in" if known else f"{kind!r} is not known in"
        _refuse(f"{where}.type", f"{why} the message of role {role}: send {', '.join(TAKES[role])}")
    return str(kind)


def unknown(given: object) -> Iterator[str]:
    """Fields of the parts that nobody here has a word for, and that say something. The parts have been read."""
    for part in given if isinstance(given, list) else ():
        kind = part["type"]
        if kind in _THOUGHTS:
            continue
        inside = part.get(kind)
        for each in (part, inside if isinstance(inside, dict) else {}):
            yield from (f"content.{name}" for name in saying(each) if name not in _COMMON | _FIELDS[kind])


def saying(given: Mapping[str, Any]) -> Iterator[str]:
    """Names of fields that say something: null, and an empty list, do not."""
    return (name for name, value in given.items() if value is not None and value != [] and value != {})


def marked(blocks: tuple[Block, ...], mark: Mark | None) -> tuple[Block, ...]:
    """A mark of the whole message is that of its last block, be it one that says nothing."""
    if mark is None:
        return blocks
    if not blocks:
        return (Text("", mark),)
    return (*blocks[:-1], replace(blocks[-1], cache=blocks[-1].cache or mark))


def mark_of(given: Mapping[str, Any], where: str) -> Mark | None:
    mark = given.get("cache_control")
    if mark is not None and not isinstance(mark, dict):
        _refuse(f"{where}.cache_control", 'must be an object such as {"type": "ephemeral"}')
    return mark or None


def _words(part: Mapping[str, Any], name: str, where: str) -> str:
    if not isinstance(text := part.get(name), str):
        _refuse(f"{where}.{name}", "must be a text")
    return text


def _text(part: Mapping[str, Any], where: str) -> Block:
    return Text(_words(part, "text", where), mark_of(part, where))


def _refusal(part: Mapping[str, Any], where: str) -> Block:
    return Refusal(_words(part, "refusal", where))


def _image(part: Mapping[str, Any], where: str) -> Block:
    """A bare text for its URL is understood too."""
    given = part.get("image_url")
    url = given.get("url") if isinstance(given, dict) else given
    if not isinstance(url, str) or not media.is_url(url):
        _refuse(f"{where}.image_url.url", "must be a URL, or data:TYPE;base64,DATA")
    detail = given.get("detail") if isinstance(given, dict) else None
    if detail not in (None, "auto", "low", "high"):
        _refuse(f"{where}.image_url.detail", "must be auto, low or high")
    return Image(url, None if detail == "auto" else detail, mark_of(part, where), f"{where}.image_url")


def _file(part: Mapping[str, Any], where: str) -> Block:
    given = part.get("file")
    if not isinstance(given, dict):
        _refuse(f"{where}.file", "must be an object with file_data or file_id")
    data, kept, name = (given.get(key) or "" for key in ("file_data", "file_id", "filename"))
    if isinstance(data, str) and data.startswith("JVBERi"):  # the base64 of a PDF, without its type
        data = f"data:application/pdf;base64,{data}"
    texts = [isinstance(value, str) for value in (data, kept, name)]
    if not all(texts) or not (media.is_url(data) if data else kept):
        _refuse(f"{where}.file.file_data", "must be data:TYPE;base64,DATA, or file_id the id of a file")
    return File(data, kept, name, mark_of(part, where), f"{where}.file")


def _audio(part: Mapping[str, Any], where: str) -> Block:
    given = part.get("input_audio")
    if not isinstance(given, dict):
        _refuse(f"{where}.input_audio", "must be an object with data and format")
    inside = f"{where}.input_audio"
    data = _words(given, "data", inside)
    if media.is_inline(data):  # with its type, which stands in `format`
        data = data.partition(",")[2]
    return Audio(data, _words(given, "format", inside), mark_of(part, where), inside)


def _refuse(field: str, why: str) -> NoReturn:
    raise InvalidRequest(f"{field}: {why}", field=field)


_READ: Mapping[str, Callable[[Mapping[str, Any], str], Block]] = {
    "text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "file": _file,
    "input_audio": _audio,
}

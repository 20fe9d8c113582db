"""The blocks of a turn, read into those that all formats have; with notes of what only Claude can be told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from app.errors import InvalidRequest
from app.providers.conversation import Block, File, Image, Mark, Text
from app.providers.wire import media

Given = Mapping[str, Any]
#: behind a text of a document's, where there is no other sign of its end
BEHIND = "\n\n"


@dataclass(slots=True)
class Notes:
    """What a conversation holds that no other format has a word for."""

    #: left out elsewhere, by name
    beside: dict[str, None] = field(default_factory=dict)
    #: never left out, by place
    essential: list[str] = field(default_factory=list)

    def only_claude(self, where: str, what: str) -> None:
        self.essential.append(f"{where} ({what})")


def listed(given: object, where: str) -> list[Given]:
    """Content as a list of blocks; a text is one. Raises InvalidRequest that names the field."""
    if isinstance(given, str):
        return [{"type": "text", "text": given}] if given else []
    if not isinstance(given, list):
        refuse(where, "must be a text or a list of blocks")
    for place, block in enumerate(given):
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            refuse(f"{where}.{place}.type", 'a block must be an object with a type, such as {"type": "text", …}')
    return given


def read(block: Given, where: str, notes: Notes) -> Iterator[Block]:
    """A block of content. What other formats have no word for is noted, and gives nothing."""
    if (reader := _READ.get(block["type"])) is None:
        notes.only_claude(where, block["type"])
        return
    yield from reader(block, where, notes)


def refuse(where: str, why: str) -> NoReturn:
    raise InvalidRequest(f"{where}: {why}", field=where)


def mark_of(block: Given, where: str) -> Mark | None:
    mark = block.get("cache_control")
    if mark is not None and not isinstance(mark, dict):
        refuse(f"{where}.cache_control", 'must be an object such as {"type": "ephemeral"}')
    return mark or None


def words(block: Given, name: str, where: str) -> str:
    if not isinstance(text := block.get(name), str):
        refuse(f"{where}.{name}", "must be a text")
    return text


def text(block: Given, where: str, notes: Notes) -> Iterator[Text]:
    if block.get("citations"):
        notes.beside["messages.citations"] = None
    yield Text(words(block, "text", where), mark_of(block, where))


def _source(block: Given, where: str) -> Given:
    source = block.get("source")
    if not isinstance(source, dict) or not isinstance(source.get("type"), str):
        refuse(f"{where}.source", "must be an object with a type: base64, url, file …")
    return source


def _image(block: Given, where: str, notes: Notes) -> Iterator[Block]:
    source, mark, inside = _source(block, where), mark_of(block, where), f"{where}.source"
    match source["type"]:
        case "base64":
            yield Image(_data_url(source, inside), cache=mark)
        case "url":
            yield Image(words(source, "url", inside), cache=mark)
        case "file":
            notes.only_claude(inside, f"file {words(source, 'file_id', inside)}")
        case other:
            refuse(f"{inside}.type", f"{other!r} is not known: send base64, url or file")


def _data_url(source: Given, where: str) -> str:
    url = f"data:{words(source, 'media_type', where)};base64,{words(source, 'data', where)}"
    if media.type_of(url) is None:
        refuse(f"{where}.media_type", "must be a type such as image/png")
    return url


def _document(block: Given, where: str, notes: Notes) -> Iterator[Block]:
    source, mark, inside = _source(block, where), mark_of(block, where), f"{where}.source"
    _note_citations(block, where, notes)
    title = _optional(block, "title", where)
    match source["type"]:
        case "base64":
            yield from _headed("", block, where)
            yield File(_data_url(source, inside), name=title, cache=mark)
        case "url":
            yield from _headed("", block, where)
            yield File(words(source, "url", inside), name=title, cache=mark)
        case "text":
            yield from _headed(title, block, where)
            yield Text(words(source, "data", inside) + BEHIND, mark)
        case "content":
            yield from _headed(title, block, where)
            for place, each in enumerate(listed(source.get("content"), f"{inside}.content")):
                yield from read(each, f"{inside}.content.{place}", notes)
        case "file":
            notes.only_claude(inside, f"file {words(source, 'file_id', inside)}")
        case other:
            refuse(f"{inside}.type", f"{other!r} is not known: send base64, text, content, url or file")


def _note_citations(block: Given, where: str, notes: Notes) -> None:
    wanted = block.get("citations")
    if not isinstance(wanted, dict | None):
        refuse(f"{where}.citations", 'must be an object such as {"enabled": true}')
    if wanted and wanted.get("enabled"):
        notes.beside["messages.citations"] = None


def _headed(title: str, block: Given, where: str) -> Iterator[Text]:
    """What stands before a document, where it has no field for it."""
    head = "\n".join(part for part in (title, _optional(block, "context", where)) if part)
    if head:
        yield Text(head + BEHIND)


def _optional(block: Given, name: str, where: str) -> str:
    return "" if block.get(name) is None else words(block, name, where)


def _search_result(block: Given, where: str, notes: Notes) -> Iterator[Block]:
    _note_citations(block, where, notes)
    yield Text(f"{words(block, 'title', where)}\n{words(block, 'source', where)}{BEHIND}")
    for place, each in enumerate(listed(block.get("content"), f"{where}.content")):
        yield from text(each, f"{where}.content.{place}", notes)


_READ: Mapping[str, Callable[[Given, str, Notes], Iterator[Block]]] = {
    "text": text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
}

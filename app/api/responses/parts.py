"""The parts of an item's content, read into blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from app.api.openai.parts import mark_of
from app.errors import InvalidRequest
from app.providers.conversation import Audio, Block, File, Image, Refusal, Text
from app.providers.wire import media

#: what may stand in whose content; "tool" is the output of a call
TAKES: Mapping[str, tuple[str, ...]] = {
    "system": ("input_text",),
    "developer": ("input_text",),
    "user": ("input_text", "input_image", "input_file", "input_audio"),
    "assistant": ("output_text", "refusal", "input_text"),
    "tool": ("input_text", "input_image", "input_file", "output_text"),
}


def read(given: object, role: str, where: str, omitted: set[str]) -> tuple[Block, ...]:
    """Raises InvalidRequest that names the field; adds the names of what is left out to `omitted`."""
    if isinstance(given, str):
        return (Text(given),) if given else ()
    if not isinstance(given, list):
        refuse(where, "must be a text or a list of parts")
    return tuple(_block(part, role, f"{where}.{place}", omitted) for place, part in enumerate(given))


def _block(part: object, role: str, where: str, omitted: set[str]) -> Block:
    if not isinstance(part, dict):
        refuse(where, "must be an object with a type")
    kind = part.get("type")
    if kind not in TAKES[role]:
        whose = "the output of a call" if role == "tool" else f"a message of role {role}"
        refuse(f"{where}.type", f"{kind!r} does not belong in {whose}: send {', '.join(TAKES[role])}")
    if part.get("detail") not in (None, "auto", *_DETAILS.get(str(kind), ())):
        omitted.add(f"{kind}.detail")
    return _READ[str(kind)](part, where)


#: how closely something is looked at: what a target can be told
_DETAILS = {"input_image": ("low", "high")}


def text(given: Mapping[str, Any], name: str, where: str) -> str:
    """Raises InvalidRequest where it is none."""
    if not isinstance(value := given.get(name), str):
        refuse(f"{where}.{name}", "must be a text")
    return value


def maybe(given: Mapping[str, Any], name: str, where: str) -> str:
    return "" if given.get(name) is None else text(given, name, where)


def _text(part: Mapping[str, Any], where: str) -> Block:
    return Text(text(part, "text", where), mark_of(part, where))


def _refusal(part: Mapping[str, Any], where: str) -> Block:
    return Refusal(text(part, "refusal", where))


def _image(part: Mapping[str, Any], where: str) -> Block:
    url = maybe(part, "image_url", where)
    if not url and part.get("file_id"):
        refuse(f"{where}.file_id", "images are not kept here: send image_url, a URL or data:TYPE;base64,DATA")
    if not _is_url(url):
        refuse(f"{where}.image_url", "must be a URL, or data:TYPE;base64,DATA")
    detail = part.get("detail")
    return Image(url, detail if detail in _DETAILS["input_image"] else None, mark_of(part, where))


def _file(part: Mapping[str, Any], where: str) -> Block:
    data, kept, url = (maybe(part, name, where) for name in ("file_data", "file_id", "file_url"))
    if data.startswith("JVBERi"):  # the base64 of a PDF, without its type
        data = f"data:application/pdf;base64,{data}"
    if not (media.is_inline(data) and _is_url(data) if data else url or kept):
        refuse(f"{where}.file_data", "must be data:TYPE;base64,DATA; else send file_url, or file_id of a file")
    return File(data or url, "" if data or url else kept, maybe(part, "filename", where), mark_of(part, where))


def _audio(part: Mapping[str, Any], where: str) -> Block:
    given = part.get("input_audio")
    if not isinstance(given, dict):
        refuse(f"{where}.input_audio", "must be an object with data and format")
    inside = f"{where}.input_audio"
    return Audio(text(given, "data", inside), text(given, "format", inside), mark_of(part, where))


def _is_url(url: str) -> bool:
    return media.type_of(url) is not None if media.is_inline(url) else bool(url)


def refuse(field: str, why: str) -> NoReturn:
    raise InvalidRequest(f"{field}: {why}", field=field)


_READ: Mapping[str, Callable[[Mapping[str, Any], str], Block]] = {
    "input_text": _text,
    "output_text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
}

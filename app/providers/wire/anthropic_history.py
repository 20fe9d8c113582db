"""Turns and tools as Claude takes them: https://docs.anthropic.com/en/api/messages"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from app.domain.targets.capabilities import Capabilities
from app.errors import BadRequest, Unsupported
from app.providers.base import ChatRequest, Message
from app.providers.conversation import PLACE, SYSTEM, Audio, Block, File, Image, Mark, Refusal, Text, place_of
from app.providers.wire import anthropic_native, history, media, tools
from app.providers.wire.spelling import ANTHROPIC_IDS, Names

#: what of a turn comes from Claude, or is understood by it
KEPT = frozenset({"thinking_blocks", "cache_control", "file.filename", "is_error"})
#: the only images it reads
IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_THOUGHTS = ("thinking", "redacted_thinking")
#: cache marks it takes in one request
MARKS = 4


def told(can: Capabilities, request: ChatRequest, names: Names) -> tuple[dict[str, Any], list[str]]:
    """`messages`, `system` and `tools`; and what of them it cannot be told.

    Raises BadRequest or Unsupported for what it cannot be told and must not be left out.
    """
    dropped = [*history.left_out(request, KEPT), *_unsigned(request)]
    definitions, lacking = anthropic_native.tools(request, names) or _tools(can, request, names)
    messages = history.arranged(request, ANTHROPIC_IDS, names)
    system = _system(request, messages)
    write, idle = _blocks, history.is_idle
    if anthropic_native.speaks(request):
        write, idle = _as_written, anthropic_native.is_idle
    turns = history.turns(messages, "assistant", "content", write, _text, idle)
    history.refuse_nothing(not turns and not system)
    if not turns:  # instructions alone are the user's words
        turns, system = [{"role": "user", "content": system}], []
    placed = any(PLACE in each for message in messages for each in message.extra.get("thinking_blocks") or ())
    if not placed and not anthropic_native.speaks(request):
        _begin_with_thoughts(turns)
    _end_with_the_user(can, turns)
    if request.cache_marks:
        _mark(definitions, system, turns)
    document: dict[str, Any] = {"messages": turns}
    if system:
        plain = not _are_marked(system) and not anthropic_native.has_blocks(request, messages)
        document["system"] = "\n\n".join(text["text"] for text in system) if plain else system
    if definitions:
        document["tools"] = definitions
    taken = MARKS - ("cache_control" in anthropic_native.fields(request))
    return document, [*dropped, *lacking, *_spare_marks(definitions, system, turns, taken)]


def _system(request: ChatRequest, messages: Iterable[Message]) -> list[dict[str, Any]]:
    written = []
    for message in messages:
        if message.role not in SYSTEM:
            continue
        if anthropic_native.speaks(request) and message.native is not None:
            written += anthropic_native.blocks(message)
        else:
            texts = history.system_texts([message])
            written += [_marked({"type": "text", "text": text.text}, text.cache) for text in texts]
    return written


def _as_written(message: Message) -> list[dict[str, Any]]:
    """For a caller who speaks Claude's dialect."""
    return _blocks(message) if message.native is None else anthropic_native.blocks(message)


def _begin_with_thoughts(turns: list[dict[str, Any]]) -> None:
    """Where several turns of the assistant's have become one, and the first has none; else Claude's order stays."""
    for turn in turns:
        kinds = [block["type"] in _THOUGHTS for block in turn["content"]]
        if any(kinds) and not kinds[0]:
            turn["content"].sort(key=lambda block: block["type"] not in _THOUGHTS)


def _end_with_the_user(can: Capabilities, turns: list[dict[str, Any]]) -> None:
    """A last word of the assistant's is begun by us and ended by Claude; the newer ones refuse that."""
    if turns[-1]["role"] != "assistant":
        return
    last = turns[-1]["content"][-1]
    if last["type"] not in anthropic_native.COMMON:  # a turn that Claude paused, and goes on with
        return
    if last["type"] == "text":
        last["text"] = last["text"].rstrip()
    if can.prefill == "no":
        turns.append({"role": "user", "content": [_text(history.CONTINUE)]})


def _blocks(message: Message) -> list[dict[str, Any]]:
    blocks = history.blocks(message)
    if message.role == "tool":
        return [_result(message, blocks)]
    if message.role != "assistant":
        return [_block(block) for block in blocks]
    calls = [
        _marked({"type": "tool_use", "id": call.id, "name": call.name, "input": history.arguments(call)}, call.cache)
        for call in message.tool_calls
    ]
    given = message.extra.get("thinking_blocks") or ()
    if not any(PLACE in thought for thought in given):  # nearly all are so
        return [*_thoughts(given), *(_block(block) for block in blocks), *calls]
    return _interleaved(message, given, calls)


def _interleaved(
    message: Message, thoughts: Sequence[Mapping[str, Any]], calls: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Each thought at its place among text and calls; in front where the turn is no longer the one that Claude gave."""
    places = [place_of(each) for each in thoughts]
    text = history.text_of(message)
    ordered = all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(places))
    if not ordered or places[-1][0] > len(text) or places[-1][1] > len(calls) or not history.is_text(message):
        places = [(0, 0)] * len(places)
    rest: Sequence[Block] = (Text(message.content),) if isinstance(message.content, str) else message.content
    written: list[dict[str, Any]] = []
    said = called = 0
    for thought, (characters, number) in zip(thoughts, places, strict=True):
        part, rest = _cut(rest, characters - said)
        written += [*_all(message, part), *calls[called:number], *_thoughts([thought])]
        said, called = characters, number
    return [*written, *_all(message, rest), *calls[called:]]


def _cut(blocks: Sequence[Block], characters: int) -> tuple[list[Block], list[Block]]:
    """As many characters of text, and what stands behind them."""
    before: list[Block] = []
    for place, block in enumerate(blocks):
        text = block.text if isinstance(block, Text | Refusal) else ""
        if characters < len(text) and isinstance(block, Text | Refusal):
            head, tail = replace(block, text=text[:characters], cache=None), replace(block, text=text[characters:])
            return [*before, head], [tail, *blocks[place + 1 :]]
        before.append(block)
        characters -= len(text)
    return before, []


def _all(message: Message, blocks: Sequence[Block]) -> list[dict[str, Any]]:
    return [_block(block) for block in history.blocks(replace(message, content=tuple(blocks)))]


def _result(message: Message, blocks: list[Block]) -> dict[str, Any]:
    written: dict[str, Any] = {"type": "tool_result", "tool_use_id": message.tool_call_id}
    if blocks:
        written["content"] = [_bare(block) for block in blocks]
    given = message.content if isinstance(message.content, tuple) else ()
    if message.is_error:
        written["is_error"] = True
    return _marked(written, next((block.cache for block in reversed(given) if block.cache), None))


def _unsigned(request: ChatRequest) -> list[str]:
    """A name for what _thoughts leaves out."""
    given = (message.extra["thinking_blocks"] for message in request.messages if "thinking_blocks" in message.extra)
    return ["thinking_blocks"] if any(len(_thoughts(each)) < len(each) for each in given) else []


def _thoughts(given: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """As Claude gave them; one without a signature it would refuse."""
    thoughts: list[dict[str, Any]] = []
    for each in given:
        if each.get("type") == "redacted_thinking" and each.get("data"):
            thoughts.append({"type": "redacted_thinking", "data": each["data"]})
        elif each.get("type") == "thinking" and each.get("signature"):
            text, signature = each.get("thinking") or "", each["signature"]
            thoughts.append({"type": "thinking", "thinking": text, "signature": signature})
    return thoughts


def _block(block: Block) -> dict[str, Any]:
    return _marked(_bare(block), block.cache)


def _bare(block: Block) -> dict[str, Any]:
    match block:
        case Text() | Refusal():
            return _text(block.text)
        case Image():
            return {"type": "image", "source": _image(block)}
        case File():
            return {"type": "document", "source": _document(block)} | ({"title": block.name} if block.name else {})
        case Audio():
            raise Unsupported("this model takes no audio", field=block.place or None)


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _image(image: Image) -> dict[str, Any]:
    found = media.inline(image.url, "an image")
    if found is None:
        return {"type": "url", "url": image.url}
    if found.media_type not in IMAGES:
        text = f"this model takes no images of type {found.media_type}: only {', '.join(IMAGES)}"
        raise Unsupported(text, field=image.place or None)
    return {"type": "base64", "media_type": found.media_type, "data": found.data}


def _document(file: File) -> dict[str, Any]:
    if not file.url:
        raise Unsupported("this model takes a file by its data or URL, not by an id", field=file.place or None)
    found = media.inline(file.url, "a file")
    if found is None:
        return {"type": "url", "url": file.url}
    if found.media_type == "application/pdf":
        return {"type": "base64", "media_type": found.media_type, "data": found.data}
    if found.media_type.startswith("text/"):
        return {"type": "text", "media_type": "text/plain", "data": _decoded(found.data)}
    text = f"this model takes no files of type {found.media_type}: only PDF and text"
    raise Unsupported(text, field=file.place or None)


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise BadRequest("a file of text must be base64 of UTF-8") from None


def _tools(can: Capabilities, request: ChatRequest, names: Names) -> tuple[list[dict[str, Any]], list[str]]:
    dropped: set[str] = set()
    written = []
    for tool in tools.tools(request):
        schema, lost = tools.folded(tool.parameters)
        definition = tools.described(tool, names.sent(tool.name)) | {"input_schema": schema}
        if tool.strict and can.strict_tools:
            definition["strict"] = True
        elif tool.strict:
            dropped.add("tools.strict")
        dropped.update(lost, (f"tools.{name}" for name in tool.unknown))
        written.append(_marked(definition, tool.cache))
    return written, sorted(dropped)


def _marked(block: dict[str, Any], mark: Mark | None) -> dict[str, Any]:
    return block | {"cache_control": mark} if mark else block


def _are_marked(blocks: Iterable[Mapping[str, Any]]) -> bool:
    return any("cache_control" in block for block in blocks)


def _mark(definitions: list[dict[str, Any]], system: list[dict[str, Any]], turns: list[dict[str, Any]]) -> None:
    """Where the caller has marked nothing: what stays the same at every turn, and what has been said so far."""
    said = [block for turn in turns for block in turn["content"]]
    if _are_marked([*definitions, *system, *said]):
        return
    standing = (system or definitions)[-1:]
    so_far = [block for block in said if block["type"] not in _THOUGHTS][-1:]
    for block in (*standing, *so_far):
        block["cache_control"] = {"type": "ephemeral"}


def _spare_marks(
    definitions: list[dict[str, Any]], system: list[dict[str, Any]], turns: list[dict[str, Any]], taken: int
) -> list[str]:
    """Take away the first marks, where there are more than Claude takes: a later one holds what stands before it."""
    marked = [
        block
        for blocks in (definitions, system, *(turn["content"] for turn in turns))
        for each in blocks
        for block in (each, *anthropic_native.inside(each))
        if "cache_control" in block
    ]
    for block in marked[: max(0, len(marked) - taken)]:
        del block["cache_control"]
    return ["cache_control"] if len(marked) > taken else []

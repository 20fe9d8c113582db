"""Turns and tools as Claude takes them: https://docs.anthropic.com/en/api/messages"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Any

from app.errors import BadRequest, Unsupported
from app.providers.base import ChatRequest, Message
from app.providers.conversation import SYSTEM, Audio, Block, File, Image, Mark, Refusal, Text
from app.providers.wire import anthropic_native, history, media, tools
from app.providers.wire.spelling import ANTHROPIC_IDS, Names

#: what of a turn comes from Claude, or is understood by it
KEPT = frozenset({"thinking_blocks", "cache_control", "is_error"})
#: the only images it reads
IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_THOUGHTS = ("thinking", "redacted_thinking")
#: cache marks it takes in one request
MARKS = 4
#: the first models that end no answer which the request began
NO_PREFILL = (4, 6)
#: the first that can be held to a tool's schema
STRICT_TOOLS = (4, 5)
_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:-(\d{1,2}))?(?!\d)")


def told(model: str, request: ChatRequest, names: Names) -> tuple[dict[str, Any], list[str]]:
    """`messages`, `system` and `tools`; and what of them it cannot be told.

    Raises BadRequest or Unsupported for what it cannot be told and must not be left out.
    """
    dropped = [*history.left_out(request, KEPT), *_unsigned(request)]
    definitions, lacking = anthropic_native.tools(request, names) or _tools(model, request, names)
    messages = history.arranged(request, ANTHROPIC_IDS, names)
    system = _system(request, messages)
    write, idle = _blocks, history.is_idle
    if anthropic_native.speaks(request):
        write, idle = _as_written, anthropic_native.is_idle
    turns = history.turns(messages, "assistant", "content", write, _text, idle)
    history.refuse_nothing(not turns and not system)
    if not turns:  # instructions alone are the user's words
        turns, system = [{"role": "user", "content": system}], []
    if not anthropic_native.speaks(request):
        _begin_with_thoughts(turns)
    _end_with_the_user(model, turns)
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
    """Where several turns of the assistant's have become one."""
    for turn in turns:
        kinds = [block["type"] in _THOUGHTS for block in turn["content"]]
        if any(kinds[1:]):
            turn["content"].sort(key=lambda block: block["type"] not in _THOUGHTS)


def _end_with_the_user(model: str, turns: list[dict[str, Any]]) -> None:
    """A last word of the assistant's is begun by us and ended by Claude; the newer ones refuse that."""
    if turns[-1]["role"] != "assistant":
        return
    last = turns[-1]["content"][-1]
    if last["type"] not in anthropic_native.COMMON:  # a turn that Claude paused, and goes on with
        return
    if last["type"] == "text":
        last["text"] = last["text"].rstrip()
    if _version(model) >= NO_PREFILL:
        turns.append({"role": "user", "content": [_text(history.CONTINUE)]})


def _blocks(message: Message) -> list[dict[str, Any]]:
    blocks = history.blocks(message)
    if message.role == "tool":
        return [_result(message, blocks)]
    written = [_block(block) for block in blocks]
    if message.role != "assistant":
        return written
    calls = [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": history.arguments(call)}
        for call in message.tool_calls
    ]
    return [*_thoughts(message.extra.get("thinking_blocks") or ()), *written, *calls]


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
            raise Unsupported("this model takes no audio")


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _image(image: Image) -> dict[str, Any]:
    found = media.inline(image.url, "an image")
    if found is None:
        return {"type": "url", "url": image.url}
    if found.media_type not in IMAGES:
        raise Unsupported(f"this model takes no images of type {found.media_type}: only {', '.join(IMAGES)}")
    return {"type": "base64", "media_type": found.media_type, "data": found.data}


def _document(file: File) -> dict[str, Any]:
    if not file.url:
        raise Unsupported("this model takes a file by its data or URL, not by an id")
    found = media.inline(file.url, "a file")
    if found is None:
        return {"type": "url", "url": file.url}
    if found.media_type == "application/pdf":
        return {"type": "base64", "media_type": found.media_type, "data": found.data}
    if found.media_type.startswith("text/"):
        return {"type": "text", "media_type": "text/plain", "data": _decoded(found.data)}
    raise Unsupported(f"this model takes no files of type {found.media_type}: only PDF and text")


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise BadRequest("a file of text must be base64 of UTF-8") from None


def _tools(model: str, request: ChatRequest, names: Names) -> tuple[list[dict[str, Any]], list[str]]:
    dropped: set[str] = set()
    written = []
    for tool in tools.tools(request):
        schema, lost = tools.folded(tool.parameters)
        definition = tools.described(tool, names.sent(tool.name)) | {"input_schema": schema}
        if tool.strict and _version(model) >= STRICT_TOOLS:
            definition["strict"] = True
        elif tool.strict:
            dropped.add("tools.strict")
        dropped.update(lost)
        written.append(_marked(definition, tool.cache))
    return written, sorted(dropped)


def _version(model: str) -> tuple[int, int]:
    """A name without one is taken for the oldest."""
    found = _VERSION.search(model)
    return (0, 0) if found is None else (int(found[1]), int(found[2] or 0))


def _marked(block: dict[str, Any], mark: Mark | None) -> dict[str, Any]:
    return block | {"cache_control": mark} if mark else block


def _are_marked(blocks: Iterable[Mapping[str, Any]]) -> bool:
    return any("cache_control" in block for block in blocks)


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

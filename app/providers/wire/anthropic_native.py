"""What a caller who speaks Claude's own dialect wrote, for Claude: as it came, but for what would be refused.

Nothing of it is read by other formats: they get what the conversation says in the words that all have.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.domain.catalog import WireFormat
from app.errors import Unsupported
from app.providers.base import ChatRequest, Delta, JsonSchema
from app.providers.conversation import SYSTEM, Message
from app.providers.wire import content, history
from app.providers.wire.draft import Draft
from app.providers.wire.spelling import Names

#: blocks that all formats have a word for
COMMON = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})
#: what of a message, and of its usage, all formats have a word for
_SAID = frozenset({"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"})
_COUNTED = frozenset(
    {"input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens_details"}
)


def speaks(request: ChatRequest) -> bool:
    return request.dialect.format is WireFormat.ANTHROPIC


def headers(request: ChatRequest) -> Mapping[str, str]:
    return request.dialect.headers if speaks(request) else {}


def fields(request: ChatRequest) -> Mapping[str, Any]:
    """Of the body, as written; tools and output_config have their own place."""
    if not speaks(request):
        return {}
    told_elsewhere = ("tools", "output_config")
    return {**request.extra, **{k: v for k, v in request.dialect.written.items() if k not in told_elsewhere}}


def output_config(request: ChatRequest) -> dict[str, Any]:
    """But for the format, which the request has a word for."""
    return dict(request.dialect.written.get("output_config") or {}) if speaks(request) else {}


def as_tool(request: ChatRequest, wanted: JsonSchema) -> ChatRequest:
    """As content.as_tool; raises Unsupported beside tools of Claude's own as well."""
    if speaks(request) and request.dialect.written.get("tools"):
        raise Unsupported("this model takes no output_config.format beside tools")
    return content.as_tool(request, wanted)


def tools(request: ChatRequest, names: Names) -> tuple[list[dict[str, Any]], list[str]] | None:
    """The definitions, and what of them is left out, which is nothing; None: they are to be written."""
    given = request.dialect.written.get("tools") if speaks(request) else None
    if not given:
        return None
    return [{**tool, "name": names.sent(tool["name"])} if "name" in tool else dict(tool) for tool in given], []


def lost_thought(document: Mapping[str, Any]) -> bool:
    """Would Claude refuse to think, since the turn whose tools have just run begins with no thought of its own?

    Another target gave it, or one that did not think.
    """
    turns = document["messages"]
    if (document.get("thinking") or {}).get("type") != "enabled" or len(turns) < 2:
        return False
    answers = any(block.get("type") == "tool_result" for block in turns[-1]["content"])
    return answers and turns[-2]["content"][0].get("type") not in ("thinking", "redacted_thinking")


def has_blocks(request: ChatRequest, messages: Iterable[Message]) -> bool:
    """Did the system prompt come in blocks?"""
    return speaks(request) and any(message.role in SYSTEM and message.native is not None for message in messages)


def is_idle(message: Message) -> bool:
    return history.is_idle(message) and not (message.native and blocks(message))


def blocks(message: Message) -> list[dict[str, Any]]:
    """Copies, without texts that are blank; calls and results by the ids and names as they are sent."""
    calls = iter(message.tool_calls)
    written = []
    for block in _telling(message.native or ()):
        if block.get("type") == "tool_use":
            call = next(calls)
            written.append({**block, "id": call.id, "name": call.name})
        elif block.get("type") == "tool_result":
            written.append({**block, "tool_use_id": message.tool_call_id, **_content(block)})
        else:
            written.append(dict(block))
    return written


def _content(result: Mapping[str, Any]) -> dict[str, Any]:
    given = result.get("content")
    return {"content": [dict(block) for block in _telling(given)]} if isinstance(given, list) else {}


def _telling(given: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for block in given:
        if block.get("type") != "text" or str(block.get("text", "")).strip():
            yield block


def inside(block: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The blocks in a result."""
    within = block.get("content") if block.get("type") == "tool_result" else None
    return [each for each in within if isinstance(each, dict)] if isinstance(within, list) else []


def keep(data: bytes, draft: Draft) -> None:
    """A whole answer's content, which has been read and is sound, and what stands beside it."""
    body = _object(data)
    _keep_facts(body, draft)
    given = body.get("content")
    draft.native = [block for block in given if isinstance(block, dict)] if isinstance(given, list) else []
    draft.says_natively = any(block.get("type") not in COMMON for block in draft.native)


def keep_facts(data: bytes, draft: Draft) -> None:
    """… of the event with which a stream begins, or the one that says why it stopped."""
    told = _object(data)
    _keep_facts(told.get("message"), draft)
    _keep_facts(told.get("delta"), draft)
    _keep_facts({name: value for name, value in told.items() if name not in ("message", "delta")}, draft)


def _keep_facts(said: object, draft: Draft) -> None:
    if not isinstance(said, dict):
        return
    more = {name: value for name, value in said.items() if name not in _SAID}
    usage = said.get("usage")
    if isinstance(usage, dict):
        told = {name: value for name, value in usage.items() if name not in _COUNTED}
        more["usage"] = draft.native_facts.get("usage", {}) | told
    draft.native_facts |= more


def block(data: bytes, draft: Draft) -> Iterator[Delta]:
    """The event with which a block begins that no other format has."""
    begun = _object(data).get("content_block")
    if isinstance(begun, dict):
        draft.says_natively, draft.last_block = True, str(begun.get("type"))
        yield Delta(native={"content_block": begun})


def parted(kind: str | None, draft: Draft) -> Iterator[Delta]:
    """Where a text begins behind a text: in one they could not be cited apart."""
    if draft.same_dialect and kind == "text" == draft.last_block:
        yield Delta(native={"content_block": {"type": "text", "text": ""}})
    draft.last_block = kind or ""


def has_word(kind: str | None, index: int, draft: Draft) -> bool:
    """Is a piece of this kind one of something that all formats have?"""
    if kind == "input_json_delta":
        return index in draft.places
    return kind in (None, "text_delta", "thinking_delta", "signature_delta")


def piece(data: bytes) -> Iterator[Delta]:
    """… and a piece of one, or a citation."""
    told = _object(data).get("delta")
    if isinstance(told, dict):
        yield Delta(native={"delta": told})


def _object(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError:  # half a surrogate pair in bytes of another encoding, which the reader forgives
        return {}
    return document if isinstance(document, dict) else {}

"""Anthropic Messages. https://docs.anthropic.com/en/api/messages"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from app.domain.catalog import WireFormat
from app.errors import (
    BadKey,
    ContentFiltered,
    ContextTooLong,
    ModelUnknown,
    OutOfCredit,
    Overloaded,
    ProviderError,
    RateLimited,
)
from app.providers import capabilities
from app.providers.base import ChatRequest, Delta, Endpoint, Usage
from app.providers.http.sse import Event
from app.providers.wire import anthropic_history, anthropic_native, anthropic_settings, content, finishes, surrogates
from app.providers.wire.content import Outgoing
from app.providers.wire.draft import Draft
from app.providers.wire.lenient import Count, Many, Maybe, Reply, error_inside, reply
from app.providers.wire.problem import Meanings, Problem, by_status
from app.providers.wire.spelling import ANTHROPIC_NAMES, Names

VERSION = "2023-06-01"
#: fields that say what the prompt is; the others are refused where only that is counted
COUNTED = frozenset(
    {"model", "messages", "system", "tools", "tool_choice", "thinking", "cache_control", "output_config",
     "context_management", "mcp_servers", "speed"}
)  # fmt: skip
FINISH = finishes.ANTHROPIC


def build(endpoint: Endpoint, model: str, request: ChatRequest, stream: bool) -> Outgoing:
    schema = request.json_schema
    can = capabilities.of(endpoint.provider, model, WireFormat.ANTHROPIC)
    request = content.offered(can, request)
    by_tool = schema if schema is not None and anthropic_settings.by_tool(can, request) else None
    if by_tool is not None:
        request = anthropic_native.as_tool(request, by_tool)
    names = Names(ANTHROPIC_NAMES)
    told, unspoken = anthropic_history.told(can, request, names)
    limit, capped = content.fitted(can, request)
    document: dict[str, Any] = {"model": model, "max_tokens": limit or can.max_output} | told
    # one of white space only is refused
    stops = [stop for stop in request.stop if stop.strip()]
    if stops:
        document["stop_sequences"] = stops
    settings, dropped = anthropic_settings.settings(can, request)
    if len(stops) < len(request.stop):
        dropped = ("stop", *dropped)
    document |= settings | _tool_choice(request, names)
    document |= {name: value for name, value in anthropic_native.fields(request).items() if name not in document}
    if anthropic_native.lost_thought(document):
        del document["thinking"]
        dropped = ("thinking", *dropped)
    if stream:
        document["stream"] = True
    return Outgoing(
        url=f"{endpoint.provider.base_url}/v1/messages",
        headers={"content-type": "application/json", **auth(endpoint), **anthropic_native.headers(request)},
        body=content.body(document),
        dropped=(*dropped, *capped, *unspoken, *content.unheld(by_tool), *content.optional(request)),
        answer_tool=None if by_tool is None else by_tool.name,
        names=names.back(),
    )


def auth(endpoint: Endpoint) -> dict[str, str]:
    return {"anthropic-version": VERSION} | ({"x-api-key": endpoint.key} if endpoint.key else {})


def models_url(endpoint: Endpoint) -> str:
    return f"{endpoint.provider.base_url}/v1/models?limit=1000"


def count(endpoint: Endpoint, model: str, request: ChatRequest) -> Outgoing:
    """The question how many tokens the request's prompt has."""
    outgoing = build(endpoint, model, request, False)
    document = {name: value for name, value in json.loads(outgoing.body).items() if name in COUNTED}
    return replace(outgoing, url=f"{outgoing.url}/count_tokens", body=content.body(document))


def _tool_choice(request: ChatRequest, names: Names) -> dict[str, Any]:
    choice = request.tool_choice
    if not request.tools or (choice is None and request.parallel_tool_calls):
        return {}
    named = {None: {"type": "auto"}, "auto": {"type": "auto"}, "none": {"type": "none"}, "required": {"type": "any"}}
    told: dict[str, Any] = named[choice] if choice in named else {"type": "tool", "name": names.sent(str(choice))}
    if not request.parallel_tool_calls and choice != "none":
        told = told | {"disable_parallel_tool_use": True}
    return {"tool_choice": told}


class _Block(Reply):
    type: Maybe[str] = None
    text: Maybe[str] = None
    thinking: Maybe[str] = None
    signature: Maybe[str] = None
    data: Maybe[str] = None  # of a thought that is hidden
    id: Maybe[str] = None
    name: Maybe[str] = None
    input: Maybe[dict[str, Any] | str] = None


class _Piece(Reply):
    """The `delta` of a content block or of the message."""

    type: Maybe[str] = None
    text: Maybe[str] = None
    thinking: Maybe[str] = None
    signature: Maybe[str] = None
    partial_json: Maybe[str] = None
    stop_reason: Maybe[str] = None
    stop_sequence: Maybe[str] = None


class _OutputDetails(Reply):
    thinking_tokens: Count = None


class _Written(Reply):
    ephemeral_1h_input_tokens: Count = None


class _Usage(Reply):
    input_tokens: Count = None
    output_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_creation_input_tokens: Count = None
    cache_creation: Maybe[_Written] = None  # the same, by how long it is kept
    output_tokens_details: Maybe[_OutputDetails] = None  # newer models; part of output_tokens


class _Body(Reply):
    type: Maybe[str] = None
    id: Maybe[str] = None
    model: Maybe[str] = None
    content: Many[_Block] = None
    stop_reason: Maybe[str] = None
    stop_sequence: Maybe[str] = None
    usage: Maybe[_Usage] = None
    error: Any = None


class _StreamEvent(Reply):
    type: Maybe[str] = None
    index: Maybe[int] = None
    message: Maybe[_Body] = None
    content_block: Maybe[_Block] = None
    delta: Maybe[_Piece] = None
    usage: Maybe[_Usage] = None
    error: Any = None


_BODY = TypeAdapter(_Body)
_EVENT = TypeAdapter(_StreamEvent)


def read_answer(data: bytes, draft: Draft) -> None:
    body = reply(_BODY, data)
    if body.error:
        raise error_inside(data, error_class)
    for _ in _message(body, draft):
        pass
    if draft.same_dialect:
        anthropic_native.keep(data, draft)


def read_event(event: Event, draft: Draft) -> Iterable[Delta]:
    told = reply(_EVENT, event.data)
    kind = told.type or event.name.decode("latin-1")  # some proxies lose the type
    if told.error or kind == "error":
        raise error_inside(event.data, error_class)
    if told.usage is not None:
        draft.usage = _usage(told.usage, draft.usage)
    if draft.same_dialect and kind in ("message_start", "message_delta"):
        anthropic_native.keep_facts(event.data, draft)
    if kind == "message_start" and told.message is not None:
        return _message(told.message, draft)
    if kind == "message_delta" and told.delta is not None:
        _stop(told.delta, draft)
        return _all_stop(draft)
    if kind == "message_stop":
        draft.done = draft.complete = True
        return _all_stop(draft)
    index = draft.blocks if told.index is None else told.index
    return _of_block(kind, index, told, event.data, draft)


def _of_block(kind: str, index: int, told: _StreamEvent, data: bytes, draft: Draft) -> Iterable[Delta]:
    if kind == "content_block_start" and told.content_block is not None:
        if draft.same_dialect and told.content_block.type not in anthropic_native.COMMON:
            return anthropic_native.block(data, draft)
        return (
            *anthropic_native.parted(told.content_block.type, draft),
            *_block_start(index, told.content_block, draft),
        )
    if kind == "content_block_delta" and told.delta is not None:
        if draft.same_dialect and not anthropic_native.has_word(told.delta.type, index, draft):
            return anthropic_native.piece(data)
        return _block_delta(index, told.delta, draft)
    if kind == "content_block_stop":
        draft.blocks = index + 1
        return _block_stop(index, draft)
    return ()


def _message(message: _Body, draft: Draft) -> Iterator[Delta]:
    """A whole one, or the beginning of a stream, which mostly holds nothing yet."""
    draft.model = message.model or draft.model
    draft.id = message.id or draft.id
    if message.usage is not None:
        draft.usage = _usage(message.usage, draft.usage)
    for index, block in enumerate(message.content or ()):
        yield from (*_block_start(index, block, draft), *_block_stop(index, draft))
    _stop(message, draft)


def _block_start(index: int, block: _Block, draft: Draft) -> Iterator[Delta]:
    for before in [each for each in draft.thoughts if each != index]:
        yield from _block_stop(before, draft)  # not all say where a block ends
    if block.text:
        yield draft.say(block.text)
    if block.type == "thinking":
        draft.thoughts[index] = ([], [])
        yield from _thought(index, block.thinking, block.signature, draft)
    if block.type == "redacted_thinking" and block.data:
        yield draft.keep_thought({"type": "redacted_thinking", "data": block.data})
    if block.type == "tool_use" and block.name:
        # streamed, the input begins empty and follows in pieces; a whole one counts if none follow
        given = block.input if isinstance(block.input, str) else json.dumps(block.input or None, ensure_ascii=False)
        draft.inputs[index] = given if block.input else ""
        yield draft.call(index, block.id or "", block.name)


def _block_delta(index: int, piece: _Piece, draft: Draft) -> Iterator[Delta]:
    if piece.text:
        yield draft.say(piece.text)
    if piece.thinking or piece.signature:
        yield from _thought(index, piece.thinking, piece.signature, draft)
    if piece.partial_json:
        draft.inputs.pop(index, None)
        if more := draft.call_more(index, piece.partial_json):
            yield more


def _thought(index: int, text: str | None, signature: str | None, draft: Draft) -> Iterator[Delta]:
    texts, signatures = draft.thoughts.setdefault(index, ([], []))
    signatures.append(signature or "")
    if text:
        texts.append(text)
        yield draft.think(text)


def _block_stop(index: int, draft: Draft) -> Iterator[Delta]:
    """A thought that is over goes to the caller once more, signed, to be sent back as it is."""
    if (given := draft.inputs.pop(index, "")) and (more := draft.call_more(index, given)):
        yield more
    texts, signatures = draft.thoughts.pop(index, ((), ()))
    if signature := "".join(signatures):
        text = surrogates.whole("".join(texts))
        yield draft.keep_thought({"type": "thinking", "thinking": text, "signature": signature})


def _all_stop(draft: Draft) -> Iterator[Delta]:
    """Not all who copy the format say where a block ends."""
    for index in sorted({*draft.thoughts, *draft.inputs}):
        yield from _block_stop(index, draft)


def _stop(said: _Body | _Piece, draft: Draft) -> None:
    reason = said.stop_reason
    draft.stopped_at(said.stop_sequence)
    if finish := finishes.finish_of(reason):
        draft.finish, draft.stop_word = finish, reason or ""
        draft.complete = True  # not all who copy the format send a message_stop
        # behind a tool's result it is Claude's usual way to say that there is nothing to add
        draft.may_be_empty = finishes.is_one(reason, ("end_turn",))


def _usage(usage: _Usage, before: Usage | None) -> Usage | None:
    """Later counts replace earlier ones, each by itself: what a later event leaves out stays.

    `input_tokens` is without the cache.
    """
    known = before or Usage(0, 0)
    # without the cache; a proxy says 0 at the end where it does not know
    fresh = usage.input_tokens or known.prompt - known.cached - known.cache_written
    read = known.cached if usage.cache_read_input_tokens is None else usage.cache_read_input_tokens
    written = known.cache_written if usage.cache_creation_input_tokens is None else usage.cache_creation_input_tokens
    completion = known.completion if usage.output_tokens is None else usage.output_tokens
    if before is None and (usage.input_tokens is None or usage.output_tokens is None):
        return None
    thought = (usage.output_tokens_details or _OutputDetails()).thinking_tokens
    reasoning = known.reasoning if thought is None else thought
    told = (usage.cache_creation or _Written()).ephemeral_1h_input_tokens
    hour = min(written, known.cache_written_hour if told is None else told)
    return Usage(
        fresh + read + written, completion, reasoning, cached=read, cache_written=written, cache_written_hour=hour
    )


#: what the provider's own name for an error means, whatever the HTTP status a proxy made of it
NAMED: Meanings = {
    BadKey: ("authentication_error", "permission_error"),
    OutOfCredit: ("billing_error",),
    ModelUnknown: ("not_found_error",),
    ContextTooLong: ("request_too_large",),
    RateLimited: ("rate_limit_error",),
    Overloaded: ("overloaded_error",),
}
#: what has no name of its own: all of these come as invalid_request_error
SAID: Meanings = {
    OutOfCredit: ("credit balance is too low", "reached your specified api usage limits"),
    BadKey: ("organization has been disabled",),
    ContentFiltered: ("content filtering policy",),
}


def error_class(status: int, problem: Problem) -> type[ProviderError]:
    return problem.meaning(NAMED, SAID) or by_status(status, problem)

"""OpenAI chat completions: also DeepSeek, Ollama, vLLM, Groq, Mistral, OpenRouter and everything that copies it.

https://platform.openai.com/docs/api-reference/chat · https://api-docs.deepseek.com
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from pydantic import TypeAdapter

from app.domain.catalog import WireFormat
from app.domain.targets.capabilities import Capabilities
from app.errors import Unsupported
from app.providers import capabilities
from app.providers.base import ChatRequest, Delta, Endpoint, Usage
from app.providers.http.sse import Event
from app.providers.wire import (
    content,
    finishes,
    openai_completions,
    openai_functions,
    openai_history,
    openai_settings,
)
from app.providers.wire.content import Outgoing
from app.providers.wire.draft import Draft
from app.providers.wire.lenient import Count, Maybe, Reply, error_inside, reply
from app.providers.wire.openai_calls import call_piece
from app.providers.wire.openai_errors import error_class as error_class
from app.providers.wire.openai_servers import server_of
from app.providers.wire.spelling import OPENAI_NAMES, Names

FINISH = finishes.OPENAI
#: the answer is not whole: DeepSeek out of machines, Mistral and OpenRouter at an error, vLLM and SGLang when stopped
BROKEN = {"insufficient_system_resource", "error", "abort", "network_error"}


def build(endpoint: Endpoint, model: str, request: ChatRequest, stream: bool) -> Outgoing:
    if openai_completions.is_native(endpoint, model, request):
        return openai_completions.build(endpoint, model, request, auth(endpoint), stream=stream)
    schema = request.json_schema
    can = capabilities.of(endpoint.provider, model, WireFormat.OPENAI)
    if schema is not None and can.json_schema == "none":
        raise Unsupported("this model takes no response_format of type json_schema")
    by_tool = schema if can.json_schema == "tool" else None
    if by_tool is not None:
        if not can.forced_tool:
            raise Unsupported("this model takes no forced tool, which is the way to a json_schema here")
        request = content.as_tool(request, by_tool)
    request = content.offered(can, request)
    server, names = server_of(endpoint.provider, model), Names(OPENAI_NAMES)
    older = request.functions and can.functions and openai_functions.can_be(request)
    settings, dropped = openai_settings.settings(can, request, tell_one_call=by_tool is None and not older)
    told, unspoken = openai_history.told(server, request, names)
    document: dict[str, Any] = {"model": model, "messages": openai_history.messages(can, server, request, names)}
    if "seed" in settings:
        settings[server.seed] = settings.pop("seed")
    document |= settings | told
    if older:
        document = openai_functions.older(document)
    if request.dialect.format is WireFormat.OPENAI:
        document |= {name: value for name, value in request.extra.items() if name not in document}
    if stream:
        document |= {"stream": True, "stream_options": {"include_usage": True}}
    return Outgoing(
        url=f"{_base_url(endpoint, can, request)}/chat/completions",
        headers={"content-type": "application/json", **auth(endpoint)},
        body=content.body(document),
        dropped=(*dropped, *unspoken, *content.unheld(by_tool)),
        answer_tool=None if by_tool is None else by_tool.name,
        names=names.back(),
    )


def _base_url(endpoint: Endpoint, can: Capabilities, request: ChatRequest) -> str:
    """Another one takes the beginning of an answer, at some."""
    base_url = endpoint.provider.base_url
    if not can.prefill_path or request.messages[-1].role != "assistant":
        return base_url
    return urlsplit(base_url)._replace(path=can.prefill_path).geturl()


def auth(endpoint: Endpoint) -> dict[str, str]:
    return {"authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}


def models_url(endpoint: Endpoint) -> str:
    return f"{endpoint.provider.base_url}/models"


class _Function(Reply):
    name: Maybe[str] = None
    arguments: Maybe[str | dict[str, Any]] = None  # an object from servers that misread the format


class _Call(Reply):
    index: Maybe[int] = None
    id: Maybe[str] = None
    function: Maybe[_Function] = None
    extra_content: Maybe[dict[str, Any]] = None  # Gemini: its signature


class _Said(Reply):
    """A message, or a piece of one."""

    content: Maybe[str | list[dict[str, Any]]] = None
    reasoning_content: Maybe[str] = None  # DeepSeek, vLLM
    reasoning: Maybe[str] = None  # OpenRouter, Groq, Ollama
    refusal: Maybe[str] = None
    tool_calls: Maybe[list[_Call]] = None
    reasoning_details: Maybe[list[dict[str, Any]]] = None  # OpenRouter, MiniMax
    extra_content: Maybe[dict[str, Any]] = None  # Gemini
    function_call: Maybe[_Function] = None  # what tool_calls replaced; some old servers know nothing else


class _PromptDetails(Reply):
    cached_tokens: Count = None
    cache_write_tokens: Count = None


class _CompletionDetails(Reply):
    reasoning_tokens: Count = None


class _Usage(Reply):
    prompt_tokens: Count = None
    completion_tokens: Count = None
    total_tokens: Count = None
    prompt_tokens_details: Maybe[_PromptDetails] = None
    completion_tokens_details: Maybe[_CompletionDetails] = None
    prompt_cache_hit_tokens: Count = None  # DeepSeek


class _Choice(Reply):
    index: Maybe[int] = None
    message: Maybe[_Said] = None
    delta: Maybe[_Said] = None
    finish_reason: Maybe[str] = None
    text: Maybe[str] = None  # of a completion
    logprobs: Maybe[dict[str, Any]] = None
    stop_reason: Maybe[str] = None  # vLLM: the text that it stopped at
    error: Any = None  # OpenRouter
    usage: Maybe[_Usage] = None  # Moonshot, in the last piece of a stream


class _Body(Reply):
    object: Maybe[str] = None
    id: Maybe[str] = None
    model: Maybe[str] = None
    choices: Maybe[list[_Choice]] = None
    usage: Maybe[_Usage] = None
    error: Any = None


_BODY = TypeAdapter(_Body)


def read_answer(data: bytes, draft: Draft) -> None:
    for _ in _read(data, draft, streamed=False):
        pass


def read_event(event: Event, draft: Draft) -> Iterable[Delta]:
    if event.data.strip() == b"[DONE]":
        draft.done = draft.complete = True
        return ()
    if event.name == b"error":  # whatever its shape
        raise error_inside(event.data, error_class)
    return _read(event.data, draft, streamed=True)


def _read(data: bytes, draft: Draft, *, streamed: bool) -> Iterator[Delta]:
    body = reply(_BODY, data)
    if body.error or body.object == "error":  # the latter: vLLM
        raise error_inside(data, error_class)
    draft.model = body.model or draft.model
    draft.id = body.id or draft.id
    if body.usage is not None:
        draft.usage = _usage(body.usage) or draft.usage
    for position, choice in enumerate(body.choices or ()):
        place = position if choice.index is None else choice.index
        if not 0 <= place < draft.n:  # of answers that nobody asked for
            continue
        if choice.error:
            raise error_inside(json.dumps({"error": choice.error}).encode(), error_class)
        if choice.usage is not None:
            draft.usage = _usage(choice.usage) or draft.usage
        read = _choice(choice, draft.of(place), streamed=streamed)
        yield from read if place == 0 else (delta._replace(choice=place) for delta in read)


def _choice(choice: _Choice, draft: Draft, *, streamed: bool) -> Iterator[Delta]:
    # Perplexity sends both in a stream: the piece, and the message as far as it has come
    said = choice.delta or choice.message if streamed else choice.message or choice.delta
    if said is None and choice.text:
        said = _Said(content=choice.text)
    deltas = _said(said, draft, streamed=streamed) if said is not None else iter(())
    if choice.logprobs and draft.tells_logprobs:
        yield from draft.probable(list(deltas), choice.logprobs)
    else:
        yield from deltas
    if choice.finish_reason:
        draft.stopped_at(choice.stop_reason)
        _finish(choice.finish_reason, draft)


def _said(said: _Said, draft: Draft, *, streamed: bool) -> Iterator[Delta]:
    if thought := said.reasoning_content or said.reasoning:
        yield draft.think(thought)
    if isinstance(said.content, str):
        if said.content:
            yield draft.say(said.content)
    elif said.content:
        yield from _parts(said.content, draft)
    if said.refusal:
        yield draft.refuse(said.refusal)
    if said.reasoning_details or said.extra_content:
        yield from _kept(said, draft)
    if said.tool_calls or said.function_call:
        yield from _calls(said, draft, streamed=streamed)


def _kept(said: _Said, draft: Draft) -> Iterator[Delta]:
    """What is wanted back with the turn."""
    if said.reasoning_details:
        yield draft.keep("reasoning_details", said.reasoning_details)
    if said.extra_content:
        yield draft.keep("extra_content", said.extra_content)


def _calls(said: _Said, draft: Draft, *, streamed: bool) -> Iterator[Delta]:
    calls = said.tool_calls or []
    if said.function_call is not None and not calls:
        calls = [_Call(function=said.function_call)]
    for position, call in enumerate(calls):
        name = (call.function and call.function.name) or ""
        name = draft.names.get(name, name)
        arguments = _text(call.function.arguments if call.function else None)
        if streamed:
            index = _index(call, position, len(calls), draft)
            yield from call_piece(index, call.id or "", name, arguments, draft, call.extra_content)
        elif name:  # each is a whole one, whatever index it says
            yield draft.call(position, call.id or "", name, arguments, call.extra_content)


def _index(call: _Call, position: int, calls: int, draft: Draft) -> int:
    """Where on the wire a piece of a call belongs; some servers do not say."""
    if call.index is not None:
        return call.index
    tools = draft.tools
    if call.id and (known := next((tool for tool in reversed(tools) if call.id in tool.ids), None)):
        return known.index
    named = call.function is not None and call.function.name
    if calls == 1 or (not named and position not in draft.places):
        return tools[-1].index if tools else 0
    return position


def _parts(parts: list[dict[str, Any]], draft: Draft) -> Iterator[Delta]:
    """Mistral's reasoning models: [{"type": "thinking", "thinking": [{"text": …}]}, {"type": "text", "text": …}]."""
    for part in parts:
        if isinstance(part.get("text"), str):
            yield draft.say(part["text"])
        if isinstance(part.get("refusal"), str):
            yield draft.refuse(part["refusal"])
        for thought in part.get("thinking") or () if isinstance(part.get("thinking"), list) else ():
            if isinstance(thought, dict) and isinstance(thought.get("text"), str):
                yield draft.think(thought["text"])


def _text(arguments: str | dict[str, Any] | None) -> str:
    return json.dumps(arguments, ensure_ascii=False) if isinstance(arguments, dict) else arguments or ""


def _finish(reason: str, draft: Draft) -> None:
    finish = finishes.finish_of(reason)
    if finish is None:
        return
    draft.complete = True  # not all send [DONE]
    if finishes.is_one(reason, BROKEN):
        draft.broken = reason
    else:
        draft.finish = finish


def _usage(usage: _Usage) -> Usage | None:
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    if prompt is None or completion is None:
        return None
    reasoning = (usage.completion_tokens_details and usage.completion_tokens_details.reasoning_tokens) or 0
    parts = usage.prompt_tokens_details or _PromptDetails()
    cached = parts.cached_tokens or usage.prompt_cache_hit_tokens or 0
    if reasoning and usage.total_tokens == prompt + completion + reasoning:
        completion += reasoning  # xAI counts reasoning apart
    return Usage(prompt, completion, reasoning, cached, cache_written=parts.cache_write_tokens or 0)

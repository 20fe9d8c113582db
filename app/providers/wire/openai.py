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
from app.providers.base import ChatRequest, Delta, Endpoint
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
from app.providers.wire.lenient import error_inside, is_error, reply
from app.providers.wire.openai_calls import call_piece
from app.providers.wire.openai_errors import error_class as error_class
from app.providers.wire.openai_reply import Body, Call, Choice, Function, Said, reported, rest_of, usage_of
from app.providers.wire.openai_servers import server_of
from app.providers.wire.spelling import OPENAI_NAMES, Names

FINISH = finishes.OPENAI
#: the answer is not whole: DeepSeek out of machines, Mistral and OpenRouter at an error, vLLM and SGLang when stopped
BROKEN = {"insufficient_system_resource", "error", "abort", "network_error"}
#: types of a part of the content that holds what the model thinks
THOUGHTS = ("thinking", "reasoning", "reasoning_text", "summary_text")


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
    hints = openai_settings.hints(server, model, request)
    document |= settings | told | hints
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
        hints=frozenset(hints),
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


_BODY = TypeAdapter(Body)


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
    draft.usage = reported(body) or draft.usage
    if not body.choices:
        if body.choices is None and body.usage is None and (not streamed or is_error(data)):
            raise error_inside(data, error_class)
        return
    for place, choice in _placed(body.choices, draft):
        if choice.error:
            raise error_inside(json.dumps({"error": choice.error}).encode(), error_class)
        if choice.usage is not None:
            draft.usage = usage_of(choice.usage) or draft.usage
        read = _choice(choice, draft.of(place), streamed=streamed)
        yield from read if place == 0 else (delta._replace(choice=place) for delta in read)


def _placed(choices: list[Choice], draft: Draft) -> Iterator[tuple[int, Choice]]:
    """The answers that were asked for, by their index. A single one may have any."""
    indexes = [place if choice.index is None else choice.index for place, choice in enumerate(choices)]
    if draft.n == 1:
        draft.only = min(indexes) if draft.only is None else draft.only
        yield from ((0, choice) for index, choice in zip(indexes, choices, strict=True) if index == draft.only)
    else:
        pairs = zip(indexes, choices, strict=True)
        yield from ((index, choice) for index, choice in pairs if 0 <= index < draft.n)


def _choice(choice: Choice, draft: Draft, *, streamed: bool) -> Iterator[Delta]:
    said = _piece(choice, draft) if streamed else choice.message or choice.delta
    if choice.text and said is None:
        said = Said(content=choice.text)
    deltas = _said(said, draft, streamed=streamed) if said is not None else iter(())
    if choice.logprobs and draft.tells_logprobs:
        yield from draft.probable(list(deltas), choice.logprobs)
    else:
        yield from deltas
    if choice.finish_reason:
        draft.stopped_at(choice.stop_reason)
        _finish(choice.finish_reason, draft)


def _piece(choice: Choice, draft: Draft) -> Said | None:
    """Perplexity sends both in a stream: the piece, and the message as far as it has come."""
    said, message = choice.delta, choice.message
    if message is None or (said is not None and (said.content or said.tool_calls or said.reasoning_content)):
        return said
    return rest_of(message, "".join(draft.text), "".join(draft.reasoning))


def _said(said: Said, draft: Draft, *, streamed: bool) -> Iterator[Delta]:
    if thought := said.reasoning_content or said.reasoning or said.reasoning_text or said.thinking:
        yield draft.think(thought)
    elif said.reasoning_details:
        yield from _detailed(said.reasoning_details, draft)
    if isinstance(said.content, str):
        if said.content:
            yield draft.say(said.content)
    elif said.content:
        yield from _parts(said.content, draft)
    if said.refusal:
        yield draft.refuse(said.refusal)
    if said.reasoning_details or said.extra_content or said.annotations or said.audio or said.images:
        yield from _kept(said, draft)
    if said.tool_calls or said.function_call:
        yield from _calls(said, draft, streamed=streamed)


def _kept(said: Said, draft: Draft) -> Iterator[Delta]:
    """What is wanted back with the turn, or is no text."""
    for name in ("reasoning_details", "extra_content", "annotations", "images"):
        if value := getattr(said, name):
            yield draft.keep(name, value)
    if said.audio:
        yield draft.hear(said.audio)


def _detailed(details: list[dict[str, Any]], draft: Draft) -> Iterator[Delta]:
    """MiniMax tells what it thinks in these alone, and in a stream all of it each time."""
    text = "".join(str(each.get("text") or each.get("summary") or "") for each in details)
    known = "".join(draft.reasoning)
    text = text[len(known) :] if known and text.startswith(known) else text
    if text:
        yield draft.think(text)


def _calls(said: Said, draft: Draft, *, streamed: bool) -> Iterator[Delta]:
    calls = said.tool_calls or []
    if said.function_call is not None and not calls:
        calls = [Call(function=said.function_call)]
    for position, call in enumerate(calls):
        function = call.function or Function(name=call.name, arguments=call.arguments)
        name = function.name or ""
        name = draft.names.get(name, name)
        arguments = _text(function.arguments)
        if streamed:
            index = _index(call, position, len(calls), draft)
            yield from call_piece(index, call.id or "", name, arguments, draft, call.extra_content)
        elif name:  # each is a whole one, whatever index it says
            yield draft.call(position, call.id or "", name, arguments, call.extra_content)


def _index(call: Call, position: int, calls: int, draft: Draft) -> int:
    """Where on the wire a piece of a call belongs; some servers do not say."""
    if call.index is not None:
        return call.index
    tools = draft.tools
    if call.id and (known := next((tool for tool in reversed(tools) if call.id in tool.ids), None)):
        return known.index
    named = call.name or (call.function is not None and call.function.name)
    if calls == 1 or (not named and position not in draft.places):
        return tools[-1].index if tools else 0
    return position


def _parts(parts: list[dict[str, Any]], draft: Draft) -> Iterator[Delta]:
    """Mistral's reasoning models: [{"type": "thinking", "thinking": [{"text": …}]}, {"type": "text", "text": …}]."""
    for part in parts:
        if isinstance(part.get("text"), str):
            yield draft.think(part["text"]) if part.get("type") in THOUGHTS else draft.say(part["text"])
        if isinstance(part.get("refusal"), str):
            yield draft.refuse(part["refusal"])
        if isinstance(part.get("thinking"), str) and part["thinking"]:
            yield draft.think(part["thinking"])
        for thought in part.get("thinking") or () if isinstance(part.get("thinking"), list) else ():
            if isinstance(thought, dict) and isinstance(thought.get("text"), str):
                yield draft.think(thought["text"])


def _text(arguments: str | dict[str, Any] | None) -> str:
    """An empty object may be only the beginning of one; what stays empty becomes one at the end."""
    return (
        json.dumps(arguments, ensure_ascii=False) if isinstance(arguments, dict) and arguments else str(arguments or "")
    )


def _finish(reason: str, draft: Draft) -> None:
    finish = finishes.finish_of(reason)
    if finish is None:
        return
    draft.complete = True  # not all send [DONE]
    if finishes.is_one(reason, BROKEN):
        draft.broken = reason
    else:
        draft.finish = finish

"""Replies in the shapes of OpenAI's chat completions: the whole answer, the chunks of a stream, and errors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from app.errors import (
    AllAttemptsFailed,
    BadRequest,
    ContentFiltered,
    ContextTooLong,
    LimitSpent,
    ProviderError,
    RateLimited,
    Timeout,
    TooLooError,
    Unauthorized,
    Unsupported,
)
from app.gateway.calls import Reply
from app.gateway.gateway import ReplyStream
from app.providers.base import BEAT, Delta, Finish, ToolCall, Usage

FINISH = {Finish.STOP: "stop", Finish.LENGTH: "length", Finish.TOOL: "tool_calls", Finish.FILTER: "content_filter"}
#: json.dumps makes a new encoder at every call, where it is asked for anything
compact = json.JSONEncoder(separators=(",", ":")).encode
DONE = b"data: [DONE]\n\n"
#: a comment: it keeps the line alive, and clients skip it
HEARTBEAT = b": waiting\n\n"
ROLE = '{"role":"assistant","content":"","refusal":null}'

#: what all attempts failed with → how a client of OpenAI's knows it: HTTP status and code
KNOWN_CAUSES: dict[type[ProviderError], tuple[int, str]] = {
    ContextTooLong: (400, "context_length_exceeded"),
    BadRequest: (400, "invalid_request"),
    Unsupported: (400, "unsupported"),
    ContentFiltered: (400, "content_filter"),
    RateLimited: (429, "rate_limit_exceeded"),
    Timeout: (504, "timeout"),
    LimitSpent: (400, "limit_spent"),
}
CODES: dict[type[TooLooError], str] = {Unauthorized: "invalid_api_key"}
TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
MESSAGE_LIMIT = 2000
_DROPPED = "x-tooloo-dropped-parameters"
#: characters of a name that stand for themselves, beside letters and digits; and of a header
_PLAIN, _HEADER_LIMIT = "._-$[]", 4000


def completion(reply: Reply, created: int) -> dict[str, Any]:
    """chat.completion; `tooloo` is ours."""
    answer = reply.answer
    nothing = None if answer.tool_calls or answer.refusal else ""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": answer.text or nothing,
        "refusal": answer.refusal or None,
    }
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    if answer.tool_calls:
        message["tool_calls"] = [_tool_call(call) for call in answer.tool_calls]
    message |= answer.extra
    return {
        "id": _completion_id(reply.request_id),
        "object": "chat.completion",
        "created": created,
        "model": str(reply.target),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": FINISH[answer.finish]}],
        "usage": usage(answer.usage),
        "tooloo": facts(reply),
    }


def _completion_id(request_id: str) -> str:
    return f"chatcmpl-{request_id.removeprefix('req-')}"


def _tool_call(call: ToolCall) -> dict[str, Any]:
    written = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
    return written | {"extra_content": call.extra} if call.extra else written


def usage(used: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": used.prompt,
        "completion_tokens": used.completion,
        "total_tokens": used.prompt + used.completion,
        "prompt_tokens_details": {"cached_tokens": used.cached},
        "completion_tokens_details": {"reasoning_tokens": used.reasoning},
    }


def facts(reply: Reply) -> dict[str, Any]:
    """What only a gateway knows."""
    return {
        "request_id": reply.request_id,
        "target": str(reply.target),
        "attempts": len(reply.attempts),
        "explored": reply.explored,
        "cost_usd": reply.cost_usd,
        "latency_ms": round(reply.latency_ms, 1),
        "simulated": reply.simulated,
        "tokens_estimated": reply.answer.usage.estimated,
        "dropped_parameters": list(reply.answer.dropped),
    }


def headers(target: object, attempts: int, request_id: str) -> dict[str, str]:
    return {"x-tooloo-target": str(target), "x-tooloo-attempts": str(attempts), "x-tooloo-request-id": request_id}


def headers_of_reply(reply: Reply) -> dict[str, str]:
    facts = headers(reply.target, len(reply.attempts), reply.request_id)
    if reply.cost_usd is not None:
        facts["x-tooloo-cost-usd"] = f"{reply.cost_usd:.10f}"
    if reply.answer.dropped:
        facts[_DROPPED] = _listed(reply.answer.dropped)
    return facts


def headers_of_stream(stream: ReplyStream) -> dict[str, str]:
    """As far as they are known when it begins."""
    if stream.target is None:  # nobody has begun yet, and the line is to be kept alive
        return {"x-tooloo-request-id": stream.request_id}
    facts = headers(stream.target, len(stream.attempts) + 1, stream.request_id)
    if stream.dropped:
        facts[_DROPPED] = _listed(stream.dropped)
    return facts


def _listed(names: Iterable[str]) -> str:
    """A caller may name a field as they like, and a header holds neither a line feed nor much; the answer has all."""
    return ",".join(quote(name, safe=_PLAIN) for name in names)[:_HEADER_LIMIT]


def events(stream: ReplyStream, created: int, *, include_usage: bool) -> Iterator[bytes]:
    """The stream as server-sent events, chunk by chunk, as it is read.

    A failure on the way is an error event, and the end: no finish_reason, no [DONE]. While nothing comes, comments.
    """
    target: object = None
    head = ""
    tail = ',"usage":null}\n\n' if include_usage else "}\n\n"

    def chunk(delta: str, finish: str | None = None) -> bytes:
        reason = "null" if finish is None else f'"{finish}"'
        choice = f'{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{reason}}}'
        return f'data: {head},"choices":[{choice}]{tail}'.encode()

    try:
        for delta in stream:
            if delta is BEAT:
                yield HEARTBEAT
                continue
            if stream.target is not target:
                begins = target is None
                target = stream.target
                head = _head(stream, created)
                if begins:
                    yield chunk(ROLE)
            yield chunk(_delta(delta))
    except TooLooError as failure:
        yield error_event(failure)
        return
    assert stream.reply is not None
    if target is None:  # an answer of no word
        head = _head(stream, created)
        yield chunk(ROLE)
    yield chunk("{}", FINISH[stream.reply.answer.finish])
    if include_usage:
        last = {"choices": [], "usage": usage(stream.reply.answer.usage), "tooloo": facts(stream.reply)}
        yield f"data: {head},{compact(last)[1:]}\n\n".encode()
    yield DONE


def _head(stream: ReplyStream, created: int) -> str:
    """What all chunks of one target's answer begin with."""
    return compact(
        {
            "id": _completion_id(stream.request_id),
            "object": "chat.completion.chunk",
            "created": created,
            "model": str(stream.target),
        }
    )[:-1]


def _delta(delta: Delta) -> str:
    """JSON."""
    if (
        delta.tool_index is None and not delta.reasoning and not delta.refusal and delta.extra is None
    ):  # nearly all are; a text by itself is encoded much faster
        return f'{{"content":{compact(delta.text)}}}'
    return compact(_unusual(delta))


def _unusual(delta: Delta) -> dict[str, Any]:
    if delta.tool_index is not None:
        function: dict[str, Any] = {"arguments": delta.tool_arguments}
        call: dict[str, Any] = {"index": delta.tool_index, "function": function}
        if delta.tool_id is not None:
            function["name"] = delta.tool_name
            call |= {"id": delta.tool_id, "type": "function"}
        if delta.tool_extra:
            call["extra_content"] = delta.tool_extra
        return {"tool_calls": [call]}
    said = {"reasoning_content": delta.reasoning, "content": delta.text, "refusal": delta.refusal}
    return {name: text for name, text in said.items() if text} | dict(delta.extra or {})


def error_event(failure: TooLooError) -> bytes:
    return f"data: {compact(problem(failure)[1])}\n\n".encode()


def problem(error: TooLooError) -> tuple[int, dict[str, Any]]:
    """HTTP status and body of an error, so that OpenAI's clients raise what they would raise there."""
    status, code = error.status, CODES.get(type(error), error.code)
    if (known := _common_cause(error)) is not None:
        status, code = known
    return status, body(status, error.message, code, error.field)


def body(status: int, message: str, code: str, field: str | None = None) -> dict[str, Any]:
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message[:MESSAGE_LIMIT], "type": kind, "param": field, "code": code}}


def _common_cause(error: TooLooError) -> tuple[int, str] | None:
    """Where every attempt failed with the same thing, that is what the caller has to know."""
    kinds = {type(cause) for cause in error.causes} if isinstance(error, AllAttemptsFailed) else {type(error)}
    for kind, known in KNOWN_CAUSES.items():
        if kinds == {kind}:
            return known
    return None

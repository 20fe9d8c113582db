"""Replies in the shapes of OpenAI's chat completions: the whole answer, the chunks of a stream, and errors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from app.api.names import listed
from app.errors import (
    AllAttemptsFailed,
    BadRequest,
    BeyondContext,
    BudgetSpent,
    ContentFiltered,
    ContextTooLong,
    LimitSpent,
    ProviderError,
    RateLimited,
    Timeout,
    TooLooError,
    TooManyRequests,
    Unauthorized,
    Unsupported,
)
from app.gateway.calls import Reply
from app.gateway.gateway import ReplyStream
from app.providers.base import BEAT, WAIT, Answer, Choice, Delta, Finish, ToolCall, Usage

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
    BeyondContext: (400, "context_length_exceeded"),
    BadRequest: (400, "invalid_request"),
    Unsupported: (400, "unsupported"),
    ContentFiltered: (400, "content_filter"),
    RateLimited: (429, "rate_limit_exceeded"),
    Timeout: (504, "timeout"),
    LimitSpent: (400, "limit_spent"),
}
CODES: dict[type[TooLooError], str] = {
    Unauthorized: "invalid_api_key",
    BudgetSpent: "insufficient_quota",
    TooManyRequests: "rate_limit_exceeded",
}
TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
MESSAGE_LIMIT = 2000


def completion(reply: Reply, created: int, *, functions: bool = False) -> dict[str, Any]:
    """chat.completion; `tooloo` is ours. `functions`: calls of tools in their older form."""
    answer = reply.answer
    return {
        "id": _completion_id(reply.request_id),
        "object": "chat.completion",
        "created": created,
        "model": str(reply.target),
        "choices": [_choice(choice, functions) for choice in answer.choices],
        "usage": usage(answer.usage),
        "tooloo": facts(reply),
    }


def _choice(choice: Choice, functions: bool) -> dict[str, Any]:
    nothing = None if choice.tool_calls or choice.refusal else ""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": choice.text or nothing,
        "refusal": choice.refusal or None,
    }
    if choice.reasoning:
        message["reasoning_content"] = choice.reasoning
    if choice.tool_calls and functions:
        called = choice.tool_calls[0]
        message["function_call"] = {"name": called.name, "arguments": called.arguments}
    elif choice.tool_calls:
        message["tool_calls"] = [_tool_call(call) for call in choice.tool_calls]
    message |= choice.extra
    reason = _reason(choice.finish, functions)
    return {"index": choice.index, "message": message, "logprobs": choice.logprobs, "finish_reason": reason}


def _reason(finish: Finish, functions: bool) -> str:
    return "function_call" if functions and finish is Finish.TOOL else FINISH[finish]


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
        "cache_saved_usd": reply.cache_saved_usd,
        "latency_ms": round(reply.latency_ms, 1),
        "simulated": reply.simulated,
        "tokens_estimated": reply.answer.usage.estimated,
        "dropped_parameters": list(reply.answer.dropped),
    }


def headers(target: object, attempts: int, request_id: str) -> dict[str, str]:
    return {"x-tooloo-target": str(target), "x-tooloo-attempts": str(attempts), "x-tooloo-request-id": request_id}


def headers_of_reply(reply: Reply, dropped: Sequence[str]) -> dict[str, str]:
    """`dropped`: what was left out, in the words of the caller's protocol."""
    facts = headers(reply.target, len(reply.attempts), reply.request_id)
    if reply.cost_usd is not None:
        facts["x-tooloo-cost-usd"] = f"{reply.cost_usd:.10f}"
    if dropped:
        facts["x-tooloo-dropped-parameters"] = listed(dropped)
    return facts


def headers_of_stream(stream: ReplyStream, dropped: Sequence[str]) -> dict[str, str]:
    """The same, as far as they are known when it begins."""
    if stream.target is None:  # nobody has begun yet, and the line is to be kept alive
        return {"x-tooloo-request-id": stream.request_id}
    facts = headers(stream.target, len(stream.attempts) + 1, stream.request_id)
    if dropped:
        facts["x-tooloo-dropped-parameters"] = listed(dropped)
    return facts


def events(stream: ReplyStream, created: int, *, include_usage: bool, functions: bool = False) -> Iterator[bytes]:
    """The stream as server-sent events, chunk by chunk, as it is read.

    A failure on the way is an error event, and the end: no finish_reason, no [DONE]. While nothing comes, comments.
    """
    target: object = None
    head = ""
    #: those of several answers of which something has been given
    begun: set[int] = set()
    tail = ',"usage":null}\n\n' if include_usage else "}\n\n"

    def chunk(delta: str, finish: str | None = None, *, index: int = 0, logprobs: str = "null") -> bytes:
        reason = "null" if finish is None else f'"{finish}"'
        choice = f'{{"index":{index},"delta":{delta},"logprobs":{logprobs},"finish_reason":{reason}}}'
        return f'data: {head},"choices":[{choice}]{tail}'.encode()

    try:
        for delta in stream:
            if delta is BEAT or delta is WAIT:
                yield HEARTBEAT if delta is BEAT else b""
                continue
            if stream.target is not target:
                target = stream.target
                head = _head(stream, created)
            for said, logprobs in _said(delta, begun, functions):
                yield chunk(said, index=delta.choice, logprobs=logprobs)
    except TooLooError as failure:
        yield error_event(failure)
        return
    assert stream.reply is not None
    if target is None:  # an answer of no word
        head = _head(stream, created)
    for last, index, finish in _ends(stream.reply.answer, begun, functions):
        yield chunk(last, finish, index=index)
    if include_usage:
        used = {"choices": [], "usage": usage(stream.reply.answer.usage), "tooloo": facts(stream.reply)}
        yield f"data: {head},{compact(used)[1:]}\n\n".encode()
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


def _ends(answer: Answer, begun: set[int], functions: bool) -> Iterator[tuple[str, int, str | None]]:
    """Delta, index and finish of the last chunks of each answer."""
    for choice in answer.choices:
        if choice.index not in begun:  # one of no word
            yield ROLE, choice.index, None
        yield "{}", choice.index, _reason(choice.finish, functions)


def _said(delta: Delta, begun: set[int], functions: bool) -> Iterator[tuple[str, str]]:
    """Deltas in JSON, each with its log probabilities: an answer begins with its role."""
    if delta.choice not in begun:
        begun.add(delta.choice)
        yield ROLE, "null"
    yield _delta(delta, functions), compact(delta.logprobs) if delta.logprobs else "null"


def _delta(delta: Delta, functions: bool) -> str:
    """JSON."""
    if (
        delta.tool_index is None and not delta.reasoning and not delta.refusal and delta.extra is None
    ):  # nearly all are; a text by itself is encoded much faster
        return f'{{"content":{compact(delta.text)}}}'
    return compact(_unusual(delta, functions))


def _unusual(delta: Delta, functions: bool) -> dict[str, Any]:
    if functions and delta.tool_index is not None:
        named = {} if delta.tool_id is None else {"name": delta.tool_name}
        return {"function_call": {**named, "arguments": delta.tool_arguments}}
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

"""Replies in the shapes of Anthropic's Messages: the whole answer, its usage, and errors. Streams: see events."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.api.anthropic import carried
from app.api.openai.answer import MESSAGE_LIMIT, facts
from app.errors import (
    AllAttemptsFailed,
    BadRequest,
    Busy,
    ContentFiltered,
    DependencyUnavailable,
    LimitSpent,
    Overloaded,
    ProviderError,
    RateLimited,
    Timeout,
    TooLooError,
)
from app.gateway.calls import Reply
from app.providers.base import Answer, Finish, ToolCall, Usage
from app.providers.wire import history

compact = json.JSONEncoder(separators=(",", ":")).encode

STOP_REASONS = {
    Finish.STOP: "end_turn",
    Finish.LENGTH: "max_tokens",
    Finish.TOOL: "tool_use",
    Finish.FILTER: "refusal",
}
#: words of Claude's for these, that say more
_TELLING = {
    Finish.LENGTH: ("pause_turn", "model_context_window_exceeded"),
}
#: names of what was left out, in the caller's words
_NAMES: Mapping[str, str] = {
    "stop": "stop_sequences",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "json_schema.strict": "output_config.format",
    "is_error": "messages.is_error",
    **dict.fromkeys(
        ("thinking_blocks", "reasoning_content", "reasoning_details", "extra_content"), "messages.thinking"
    ),
}

#: HTTP status → type
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
#: what all attempts failed with, or what failed here → status
_STATUSES: Mapping[type[TooLooError], int] = {
    BadRequest: 400,
    ContentFiltered: 400,
    LimitSpent: 400,
    RateLimited: 429,
    Overloaded: 529,
    Timeout: 504,
    Busy: 529,
    DependencyUnavailable: 529,
}


def message(reply: Reply, *, thinks: bool, names: Mapping[str, str]) -> dict[str, Any]:
    """A whole answer; `tooloo` is ours."""
    answer = reply.answer
    return {
        "id": message_id(reply.request_id),
        "type": "message",
        "role": "assistant",
        "model": str(reply.target),
        "content": list(answer.native) if answer.native is not None else list(_content(answer, thinks=thinks)),
        **stopped(answer),
        **beside(answer.native_facts),
        "usage": usage(answer.usage) | usage_beside(answer.native_facts),
        "tooloo": facts(reply) | {"dropped_parameters": named(answer.dropped, names)},
    }


def message_id(request_id: str) -> str:
    return f"msg_{request_id.removeprefix('req-')}"


def _content(answer: Answer, *, thinks: bool) -> Iterator[dict[str, Any]]:
    """Thoughts only for who asked for them: else the first block is the text."""
    signed = answer.extra.get("thinking_blocks") or ()
    yield from signed
    if thinks:
        if answer.reasoning and not signed:
            yield {"type": "thinking", "thinking": answer.reasoning, "signature": carried.OURS}
        if kept := kept_of_turn(answer.extra):
            yield carried.of_turn(kept)
    if answer.words:
        yield {"type": "text", "text": answer.words}
    for call in answer.tool_calls:
        if call.extra:
            yield carried.of_call(call.id, call.extra)
        yield _tool_use(call)


def kept_of_turn(extra: Mapping[str, Any]) -> dict[str, Any]:
    """What another provider wants back with the turn."""
    return {name: value for name, value in extra.items() if name != "thinking_blocks"}


def _tool_use(call: ToolCall) -> dict[str, Any]:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": history.arguments(call)}


def stopped(answer: Answer) -> dict[str, Any]:
    """stop_reason and stop_sequence."""
    if answer.finish is Finish.STOP and answer.stop_sequence is not None:
        return {"stop_reason": "stop_sequence", "stop_sequence": answer.stop_sequence}
    reason = "refusal" if answer.refusal else STOP_REASONS[answer.finish]
    if answer.stop_word in _TELLING.get(answer.finish, ()):
        reason = answer.stop_word
    return {"stop_reason": reason, "stop_sequence": None}


def usage(used: Usage) -> dict[str, Any]:
    """Anthropic's input_tokens are without those of the cache."""
    told = {
        "input_tokens": used.prompt - used.cached - used.cache_written,
        "cache_creation_input_tokens": used.cache_written,
        "cache_read_input_tokens": used.cached,
        "output_tokens": used.completion,
    }
    return told | ({"output_tokens_details": {"thinking_tokens": used.reasoning}} if used.reasoning else {})


def beside(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What only Claude says of its answer, such as the container it ran code in."""
    return {name: value for name, value in facts.items() if name != "usage"}


def usage_beside(facts: Mapping[str, Any]) -> dict[str, Any]:
    """… and of its usage."""
    return dict(facts.get("usage") or {})


def named(dropped: Iterable[str], names: Mapping[str, str]) -> list[str]:
    """What was left out, as the caller calls it; each once."""
    given = {**_NAMES, **names}
    return list(dict.fromkeys(_renamed(given.get(name, name)) for name in dropped))


def _renamed(name: str) -> str:
    return re.sub(r"^tools\.parameters\.", "tools.input_schema.", name)


def problem(error: TooLooError, request_id: str) -> tuple[int, dict[str, Any]]:
    """HTTP status and body of an error, so that Anthropic's clients raise what they would raise there."""
    status = _status(error)
    return status, body(status, error.message, request_id)


def body(status: int, text: str, request_id: str) -> dict[str, Any]:
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    return {"type": "error", "error": {"type": kind, "message": text[:MESSAGE_LIMIT]}, "request_id": request_id}


def _status(error: TooLooError) -> int:
    """Where every attempt failed with the same thing, that is what the caller has to know."""
    causes: tuple[TooLooError, ...] = error.causes if isinstance(error, AllAttemptsFailed) else (error,)
    for kind, status in _STATUSES.items():
        if causes and all(isinstance(cause, kind) for cause in causes):
            return status
    return 500 if isinstance(error, AllAttemptsFailed | ProviderError) or error.status in (502, 503) else error.status

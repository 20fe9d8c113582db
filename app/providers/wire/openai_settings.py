"""Settings of a request in the OpenAI format: what is sent, and what is not, by the model's name."""

from __future__ import annotations

import re
from typing import Any

from app.providers.base import ChatRequest

#: models that think before they answer: they name the token limit otherwise and refuse sampling parameters
REASONING = re.compile(r"(^|/)(o[1-9](-|$)|gpt-([5-9]|\d\d)(?!.*-chat))")
#: the first of them refuse to be told to call one tool at a time
NO_PARALLEL_SWITCH = re.compile(r"(^|/)o[1-9](-|$)")
REFUSED_BY_REASONING = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "stop")


def settings(model: str, request: ChatRequest, *, tell_one_call: bool) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The settings, and the names of those the model has not.

    `tell_one_call`: say that parallel tool calls are not wanted, where they are not.
    """
    given = _parameters(request) | _one_call(model, request, tell_one_call=tell_one_call)
    reasons = REASONING.search(model) is not None
    refused = REFUSED_BY_REASONING if reasons else ("reasoning_effort",)
    dropped = tuple(name for name in refused if given.pop(name, None) is not None)
    if reasons and "max_tokens" in given:
        given["max_completion_tokens"] = given.pop("max_tokens")
    return given, dropped


def _parameters(request: ChatRequest) -> dict[str, Any]:
    given: dict[str, Any] = {
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "frequency_penalty": request.frequency_penalty or None,
        "presence_penalty": request.presence_penalty or None,
        "stop": list(request.stop) or None,
        "seed": request.seed,
        "reasoning_effort": request.reasoning_effort,
        "response_format": _response_format(request),
    }
    return {name: value for name, value in given.items() if value is not None}


def _response_format(request: ChatRequest) -> dict[str, Any] | None:
    wanted = request.json_schema
    if wanted is None:
        return {"type": "json_object"} if request.json_mode else None
    named = {"name": wanted.name, "schema": dict(wanted.schema)}
    hints = {"description": wanted.description, "strict": wanted.strict}
    return {
        "type": "json_schema",
        "json_schema": named | {name: value for name, value in hints.items() if value is not None},
    }


def _one_call(model: str, request: ChatRequest, *, tell_one_call: bool) -> dict[str, Any]:
    if not request.tools:
        return {}
    tells = tell_one_call and not request.parallel_tool_calls and not NO_PARALLEL_SWITCH.search(model)
    return {"parallel_tool_calls": False} if tells else {}

"""Settings of a request in the OpenAI format: what is sent, and what is not, by what the model can."""

from __future__ import annotations

import re
from dataclasses import fields
from operator import attrgetter
from typing import Any

from app.domain.targets.capabilities import Capabilities
from app.providers.base import ChatRequest
from app.providers.wire import content
from app.providers.wire.openai_servers import Server

SAMPLING = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "stop", "seed")

#: models that a text can be predicted to, and that are cached for longer
_PREDICTS = re.compile(r"^(ft:)?gpt-4(o|\.1)")
_RETAINS = re.compile(r"^(gpt-4\.1|gpt-[5-9])")

#: all of a request that is neither conversation nor said about its own fields
_SETTINGS = attrgetter(
    *(
        {each.name for each in fields(ChatRequest)}
        - {"messages", "extra", "omitted", "defaults", "passed", "cache_marks", "hints"}
    )
)
#: … of a request without any, as most are
_NO_SETTINGS = _SETTINGS(ChatRequest(messages=()))


def settings(can: Capabilities, request: ChatRequest, *, tell_one_call: bool) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The settings, and the names of those the model has not.

    `tell_one_call`: say that parallel tool calls are not wanted, where they are not.
    """
    if _SETTINGS(request) == _NO_SETTINGS:
        return {}, ()
    given = _parameters(request) | _one_call(can, request, tell_one_call=tell_one_call)
    refused = [name for name in SAMPLING if name not in can.parameters]
    if not can.json_object and request.json_mode:
        given.pop("response_format")
        refused.append("json_mode")
    if not _takes_effort(can, request):
        refused.append("reasoning_effort")
    dropped = tuple(name for name in refused if given.pop(name, None) is not None or name == "json_mode")
    if request.tools and can.effort_beside_tools == "none":  # it thinks unless it is told not to
        given["reasoning_effort"] = "none"
    limit, capped = content.fitted(can, request)
    if limit is not None:
        given[can.limit] = limit
    asked = content.optional(request)
    lacking = [name for name in asked if not (getattr(can, content.OPTIONAL[name]) or name in request.passed)]
    given |= {name: value for name, value in asked.items() if name not in lacking}
    return given, (*dropped, *capped, *lacking)


def _takes_effort(can: Capabilities, request: ChatRequest) -> bool:
    if can.effort == "none" or (request.tools and can.effort_beside_tools == "no"):
        return False
    if request.tools and can.effort_beside_tools == "none":
        return request.reasoning_effort == "none"
    return not can.efforts or request.reasoning_effort in can.efforts


def _parameters(request: ChatRequest) -> dict[str, Any]:
    given: dict[str, Any] = {
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


def _one_call(can: Capabilities, request: ChatRequest, *, tell_one_call: bool) -> dict[str, Any]:
    tells = request.tools and tell_one_call and not request.parallel_tool_calls and can.parallel_switch
    return {"parallel_tool_calls": False} if tells else {}


def hints(server: Server, model: str, request: ChatRequest) -> dict[str, Any]:
    """Those that this server has, where it does not refuse them beside the rest of the request."""
    if not request.hints:  # nearly always
        return {}
    refused = {
        "metadata": not request.extra.get("store"),  # "only allowed when 'store' is enabled"
        "prediction": bool(request.tools) or not _PREDICTS.search(model),
        "prompt_cache_retention": not _RETAINS.search(model),
    }
    return {name: value for name, value in request.hints.items() if name in server.hints and not refused.get(name)}

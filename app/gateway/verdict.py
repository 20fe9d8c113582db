"""Is a target asked for a request? Read off what it can and what the request needs, before anybody is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.targets.capabilities import Capabilities
from app.errors import BadRequest, BeyondContext, PassedOver, Unsupported
from app.gateway.calls import Call
from app.providers.base import ChatRequest, Endpoint, Message
from app.providers.left_out import left_out
from app.providers.wire.formats import FORMATS

#: characters that make a token at the most: what is longer than that does not fit, whatever it says
MOST_CHARACTERS = 8
#: needs that are looked at
TELLING = {"vision", "files", "audio", "prefill", "tools", "json_schema", "json_mode", "max_tokens"}
CONTENT = {"vision": "images", "files": "files", "audio": "audio"}


def lack(
    can: Capabilities, needs: frozenset[str], messages: Sequence[Message], parameters: Mapping[str, Any]
) -> Unsupported | None:
    """Why not to ask; PassedOver where it could serve the request in part, which is better than nobody."""
    if can.context and _characters(messages) > can.context * MOST_CHARACTERS:
        return BeyondContext(f"the request does not fit its context of {can.context} tokens")
    if needs.isdisjoint(TELLING):  # nearly all
        return None
    for need, what in CONTENT.items():
        if need in needs and not getattr(can, need):
            return Unsupported(f"this model takes no {what}")
    if "prefill" in needs and can.prefill == "no":
        return Unsupported("this model does not continue an answer that the last message begins")
    why = _of_tools(can, needs, parameters) or _of_json(can, needs)
    if why is not None:
        return Unsupported(why)
    return _in_part(can, needs, parameters)


def would_drop(endpoint: Endpoint, model: str, call: Call) -> Unsupported | None:
    """Why not to ask where the request demands that nothing of it is left out."""
    request = ChatRequest(
        messages=call.messages,
        extra=call.extra,
        dialect=call.dialect,
        omitted=call.omitted,
        passed=call.passed,
        completion=call.completion,
        **call.parameters,
    )
    wire = endpoint.provider.format
    try:
        names = left_out(request, FORMATS[wire].build(endpoint, model, request, False), wire)
    except BadRequest as refusal:
        return Unsupported(str(refusal))
    nobodys = {name for message in call.messages for name in message.unknown}
    names = tuple(name for name in names if name not in nobodys)
    return Unsupported(f"this model has no {', '.join(names)}, and require_parameters is set") if names else None


def _of_tools(can: Capabilities, needs: frozenset[str], parameters: Mapping[str, Any]) -> str | None:
    if "tools" not in needs:
        return None
    if not can.tools:
        return "this model takes no tools"
    offered = (not can.allowed_tools and parameters.get("allowed_tools")) or parameters["tools"]
    if can.tool_limit and len(offered) > can.tool_limit:
        return f"this model takes {can.tool_limit} tools at most"
    forced = parameters.get("tool_choice") not in (None, "auto", "none")
    return "this model cannot be made to call a tool" if forced and not can.forced_tool else None


def _of_json(can: Capabilities, needs: frozenset[str]) -> str | None:
    if "json_schema" not in needs:
        return None
    if can.json_schema == "none" or (can.json_schema == "tool" and not can.forced_tool):
        return "this model takes no response_format of type json_schema"
    if "tools" in needs and can.json_schema_beside_tools == "none":
        return "this model takes no response_format of type json_schema beside tools"
    return None


def _in_part(can: Capabilities, needs: frozenset[str], parameters: Mapping[str, Any]) -> PassedOver | None:
    if "json_mode" in needs and not (can.json_object_beside_tools if "tools" in needs else can.json_object):
        return PassedOver("this model has no JSON mode; others have")
    if can.max_output and (parameters.get("max_tokens") or 0) > can.max_output:
        return PassedOver(f"this model writes {can.max_output} tokens at most; others write what is asked for")
    return None


def _characters(messages: Sequence[Message]) -> int:
    return sum(len(message.content) for message in messages if isinstance(message.content, str))

"""generationConfig of a Gemini request: what is sent, and what is not, by what the model can.

https://ai.google.dev/gemini-api/docs/thinking · https://ai.google.dev/gemini-api/docs/openai
"""

from __future__ import annotations

from typing import Any

from app.domain.targets.capabilities import Capabilities
from app.errors import Unsupported
from app.providers.base import ChatRequest
from app.providers.wire import content

#: tokens, as Google's own translation of reasoning_effort has them; 0, which is not to think, Pro refuses
_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}


def settings(can: Capabilities, request: ChatRequest) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The settings, and the names of those the model has not."""
    limit, capped = content.fitted(can, request)
    wanted = {
        "maxOutputTokens": limit,
        "temperature": request.temperature,
        "topP": request.top_p,
        "stopSequences": list(request.stop) or None,
        "seed": request.seed,
    }
    sent = {name: value for name, value in wanted.items() if value is not None}
    dropped: list[str] = list(capped)
    if request.seed is not None and not -(2**31) <= request.seed < 2**31:  # its type there is int32
        del sent["seed"]
        dropped.append("seed")
    for add in (_penalties, _json, _thinking):
        more, lacking = add(can, request)
        sent |= more
        dropped += lacking
    return sent, tuple(dropped)


def _penalties(can: Capabilities, request: ChatRequest) -> tuple[dict[str, Any], tuple[str, ...]]:
    penalties = {
        "frequency_penalty": ("frequencyPenalty", request.frequency_penalty),
        "presence_penalty": ("presencePenalty", request.presence_penalty),
    }
    asked = {name: value for name, value in penalties.items() if value[1]}
    return (dict(asked.values()), ()) if "frequency_penalty" in can.parameters else ({}, tuple(asked))


def _json(can: Capabilities, request: ChatRequest) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A schema is never left out: raises Unsupported where the model has no room for one beside tools."""
    if request.json_schema is None and not request.json_mode:
        return {}, ()
    if request.tools and request.json_schema is not None and can.json_schema_beside_tools == "none":
        raise Unsupported("this model takes no response_format of type json_schema beside tools")
    if request.tools and request.json_schema is None and not can.json_object_beside_tools:
        return {}, ("json_mode",)
    sent: dict[str, Any] = {"responseMimeType": "application/json"}
    if request.json_schema is not None:
        sent["responseJsonSchema"] = content.described_schema(request.json_schema)
    return sent, ()


def _thinking(can: Capabilities, request: ChatRequest) -> tuple[dict[str, Any], tuple[str, ...]]:
    if request.reasoning_effort is None:
        return {}, ()
    effort = request.reasoning_effort
    if effort not in can.efforts or can.effort not in ("thinkingBudget", "thinkingLevel"):
        return {}, ("reasoning_effort",)
    config = {"thinkingBudget": _BUDGETS[effort]} if can.effort == "thinkingBudget" else {"thinkingLevel": effort}
    return {"thinkingConfig": config}, ()

"""generationConfig of a Gemini request: what is sent, and what is not, by the model's name.

https://ai.google.dev/gemini-api/docs/thinking · https://ai.google.dev/gemini-api/docs/openai
"""

from __future__ import annotations

import re
from typing import Any

from app.errors import Unsupported
from app.providers.base import ChatRequest
from app.providers.wire import content

#: the only models that take penalties; all others answer 400 "Penalty is not enabled for this model"
PENALTIES = re.compile(r"gemini-(1|2\.0)")
#: from version 3 on an earlier tool call needs the signature the model gave it, or a word in its place
SIGNED = re.compile(r"gemini-([3-9]|\d\d)")
#: before version 3, tools and JSON mode exclude each other: "Function calling with a response mime type:
#: 'application/json' is unsupported"
JSON_BESIDE_TOOLS = SIGNED

#: models that think by a budget of tokens, and by a level; what makes pictures or speech has neither
_BUDGETED = re.compile(r"gemini-2\.5-(?P<kind>pro|flash)(?!.*(image|tts|audio|live|computer))")
_LEVELLED = re.compile(r"gemini-3(?P<minor>\.\d+)?-(?P<kind>pro|flash)(?!.*(image|tts|audio|live|computer))")
#: tokens, as Google's own translation of reasoning_effort has them; 0, which is not to think, Pro refuses
_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}


def settings(model: str, request: ChatRequest) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The settings, and the names of those the model has not."""
    wanted = {
        "maxOutputTokens": request.max_tokens,
        "temperature": request.temperature,
        "topP": request.top_p,
        "stopSequences": list(request.stop) or None,
        "seed": request.seed,
    }
    sent = {name: value for name, value in wanted.items() if value is not None}
    dropped: list[str] = []
    for add in (_penalties, _json, _thinking):
        more, lacking = add(model, request)
        sent |= more
        dropped += lacking
    return sent, tuple(dropped)


def _penalties(model: str, request: ChatRequest) -> tuple[dict[str, Any], tuple[str, ...]]:
    penalties = {
        "frequency_penalty": ("frequencyPenalty", request.frequency_penalty),
        "presence_penalty": ("presencePenalty", request.presence_penalty),
    }
    asked = {name: value for name, value in penalties.items() if value[1]}
    return (dict(asked.values()), ()) if PENALTIES.search(model) else ({}, tuple(asked))


def _json(model: str, request: ChatRequest) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A schema is never left out: raises Unsupported where the model has no room for one beside tools."""
    if request.json_schema is None and not request.json_mode:
        return {}, ()
    if request.tools and not JSON_BESIDE_TOOLS.search(model):
        if request.json_schema is not None:
            raise Unsupported("this model takes no response_format of type json_schema beside tools")
        return {}, ("json_mode",)
    sent: dict[str, Any] = {"responseMimeType": "application/json"}
    if request.json_schema is not None:
        sent["responseJsonSchema"] = content.described_schema(request.json_schema)
    return sent, ()


def _thinking(model: str, request: ChatRequest) -> tuple[dict[str, Any], tuple[str, ...]]:
    if request.reasoning_effort is None:
        return {}, ()
    config = _thinking_config(model, request.reasoning_effort)
    return ({}, ("reasoning_effort",)) if config is None else ({"thinkingConfig": config}, ())


def _thinking_config(model: str, effort: str) -> dict[str, Any] | None:
    """generationConfig.thinkingConfig for a reasoning_effort; None: this model has none such."""
    if (budgeted := _BUDGETED.search(model)) is not None:
        budget = None if effort == "none" and budgeted["kind"] == "pro" else _BUDGETS.get(effort)
        return None if budget is None else {"thinkingBudget": budget}
    levelled = _LEVELLED.search(model)
    if levelled is None:
        return None
    levels = {"low", "high"}
    if levelled["kind"] == "flash":
        levels |= {"minimal", "medium"}
    elif levelled["minor"]:
        levels |= {"medium"}  # from 3.1 Pro on
    return {"thinkingLevel": effort} if effort in levels else None

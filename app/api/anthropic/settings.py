"""`thinking`, `output_config` and their likes, in the words that all formats have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.api.anthropic.blocks import refuse
from app.api.openai import schemas
from app.providers.base import JsonSchema

EFFORTS = ("low", "medium", "high", "xhigh", "max")
#: tokens of a thinking budget up to which an effort is meant; what is more is high
_BUDGETS = ((4_095, "low"), (16_383, "medium"))
#: of thinking whose effort nobody has said
_ADAPTIVE = "medium"
#: the name of an answer's schema, where one is wanted
_ANSWER = "answer"


def thinks(thinking: Mapping[str, Any] | None) -> bool:
    """Is it asked for?"""
    return thinking is not None and thinking.get("type") != "disabled"


def effort(thinking: Mapping[str, Any] | None, output_config: Mapping[str, Any] | None) -> str | None:
    """How much to think, for who has no `thinking`. Raises InvalidRequest that names the field."""
    said = (output_config or {}).get("effort")
    if said is not None and said not in EFFORTS:
        refuse("output_config.effort", f"must be one of {', '.join(EFFORTS)}")
    if thinking is None:
        return said
    if not isinstance(kind := thinking.get("type"), str):
        refuse("thinking.type", "must be enabled, adaptive or disabled")
    if kind == "disabled":
        return "none"
    if kind == "enabled":
        return said or _of_budget(thinking.get("budget_tokens"))
    return said or (_ADAPTIVE if kind == "adaptive" else None)


def _of_budget(budget: object) -> str:
    if not isinstance(budget, int) or isinstance(budget, bool) or budget < 1:
        refuse("thinking.budget_tokens", "must be a number of tokens")
    return next((name for most, name in _BUDGETS if budget <= most), "high")


def effort_field(output_config: Mapping[str, Any] | None) -> str:
    """Where the caller said it."""
    return "output_config.effort" if output_config and output_config.get("effort") else "thinking"


def schema(output_config: Mapping[str, Any] | None, output_format: Mapping[str, Any] | None) -> JsonSchema | None:
    """What the answer has to be. `output_format` is an earlier name of output_config.format."""
    where, given = "output_config.format", (output_config or {}).get("format")
    if given is None:
        where, given = "output_format", output_format
    if given is None:
        return None
    if not isinstance(given, dict) or given.get("type") != "json_schema":
        refuse(f"{where}.type", "must be json_schema")
    wanted: Any = given.get("schema")
    schemas.check(wanted, f"{where}.schema")
    return JsonSchema(_ANSWER, wanted, strict=True if _is_closed(wanted) else None)


def _is_closed(part: object) -> bool:
    """Can everybody be held to it letter by letter? OpenAI wants every property required for that."""
    if isinstance(part, list):
        return all(map(_is_closed, part))
    if not isinstance(part, dict):
        return True
    properties = part.get("properties")
    if isinstance(properties, dict):
        required = part.get("required")
        if not isinstance(required, list) or set(required) != set(properties):
            return False
        if part.get("additionalProperties") is not False:
            return False
    return all(map(_is_closed, part.values()))

"""`tools` and `tool_choice`, read into functions; the tools that only Claude has are noted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.api.anthropic.blocks import Given, Notes, mark_of, refuse, words
from app.api.openai import schemas

#: what a function has a word for
_COMMON = {"type", "name", "description", "input_schema", "strict", "cache_control"}
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def read(given: Sequence[object], notes: Notes) -> tuple[Mapping[str, Any], ...]:
    """Those of the caller's own, as functions. Raises InvalidRequest that names the field."""
    functions, left = [], schemas.LARGEST
    for place, tool in enumerate(given):
        where = f"tools.{place}"
        if not isinstance(tool, dict):
            refuse(where, "must be an object with name and input_schema")
        kind = tool.get("type") or "custom"
        if not isinstance(kind, str):
            refuse(f"{where}.type", "must be a text: custom, or the name of a tool of Claude's")
        if kind != "custom":
            notes.only_claude(where, kind)
            continue
        if not words(tool, "name", where):
            refuse(f"{where}.name", "must not be empty")
        left = schemas.check(tool.get("input_schema"), f"{where}.input_schema", left)
        notes.beside.update({f"tools.{name}": None for name in tool if name not in _COMMON})
        functions.append(_function(tool, where))
    return tuple(functions)


def _function(tool: Given, where: str) -> Mapping[str, Any]:
    if not isinstance(tool.get("description"), str | None):
        refuse(f"{where}.description", "must be a text")
    if not isinstance(tool.get("strict"), bool | None):
        refuse(f"{where}.strict", "must be true or false")
    function = {
        "name": tool["name"],
        "description": tool.get("description"),
        "parameters": tool["input_schema"],
        "strict": tool.get("strict"),
    }
    written: dict[str, Any] = {"type": "function", "function": {k: v for k, v in function.items() if v is not None}}
    mark = mark_of(tool, where)
    return written | {"cache_control": mark} if mark else written


def choice(given: Given | None, offered: Sequence[object]) -> tuple[str | None, bool]:
    """ChatRequest.tool_choice, and whether calls may be parallel."""
    if given is None:
        return None, True
    kind, one = given.get("type"), given.get("disable_parallel_tool_use")
    if not isinstance(one, bool | None):
        refuse("tool_choice.disable_parallel_tool_use", "must be true or false")
    if kind not in (*_CHOICES, "tool"):
        refuse("tool_choice.type", f"{kind!r} is not known: send auto, any, tool or none")
    if not offered and kind in ("any", "tool"):
        refuse("tool_choice", "needs tools")
    if kind != "tool":
        return (_CHOICES[str(kind)] if offered else None), not one
    name = words(given, "name", "tool_choice")
    if name not in {tool.get("name") for tool in offered if isinstance(tool, dict)}:
        refuse("tool_choice.name", f"{name!r} is not among the tools")
    return name, not one

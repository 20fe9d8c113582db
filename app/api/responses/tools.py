"""The tools of a request, and which of them may be called, in the one vocabulary: functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.api.openai import schemas
from app.api.responses import custom
from app.api.responses.parts import maybe, refuse, text

#: what OpenAI runs itself, or by a format of its own: no target here has them in a form that we could pass on
BUILT_IN: Mapping[str, str] = {
    "web_search": 'take it out of tools (Codex: `web_search = "disabled"`), or give a function that searches',
    "file_search": "take it out of tools, or give a function that searches",
    "code_interpreter": "take it out of tools, or give a function that runs code",
    "computer": "take it out of tools, or give functions that click and type",
    "computer_use": "take it out of tools, or give functions that click and type",
    "image_generation": "take it out of tools, or give a function that makes images",
    "mcp": "let your client call the server, and give its tools as functions",
    "local_shell": "give a function that runs commands: Codex does for models that it does not know",
    "shell": "give a function that runs commands",
    "apply_patch": "give a function, or a tool of type custom, that applies patches",
    "namespace": "give its functions by themselves",
    "tool_search": "give all tools at once",
    "programmatic_tool_calling": "take it out of tools",
}
#: fields of a tool that change nothing where tools are called one by one by their client
_IGNORED = {"allowed_callers", "async", "defer_loading", "output_schema"}
_FUNCTION = {"type", "name", "description", "parameters", "strict", "cache_control"}
_CUSTOM = {"type", "name", "description", "format"}
_MODES = ("none", "auto", "required")


@dataclass(frozen=True, slots=True)
class Tools:
    #: those that may be called, OpenAI-style functions
    offered: tuple[Mapping[str, Any], ...] = ()
    #: see ChatRequest.tool_choice
    choice: str | None = None
    #: names of those of type custom
    custom: frozenset[str] = frozenset()
    #: names of what cannot be told to anybody
    omitted: tuple[str, ...] = ()


def read(given: Sequence[object], choice: object) -> Tools:
    """Raises InvalidRequest that names the field."""
    omitted: set[str] = set()
    written: dict[str, Mapping[str, Any]] = {}
    custom_names: set[str] = set()
    left = schemas.LARGEST
    for place, tool in enumerate(given):
        where = f"tools.{place}"
        if not isinstance(tool, dict):
            refuse(where, "must be an object with a type")
        kind = _kind(tool, where)
        name = _name(tool, where)
        if name in written:
            refuse(f"{where}.name", f"there are two tools {name!r}: give each its own name")
        if kind == "custom":
            custom_names.add(name)
            written[name] = _custom(tool, name, where, omitted)
        else:
            written[name], left = _function(tool, name, where, left, omitted)
    names, chosen = _chosen(choice, {name: name in custom_names for name in written})
    offered = tuple(tool for name, tool in written.items() if names is None or name in names)
    return Tools(offered, chosen, frozenset(custom_names), tuple(sorted(omitted)))


def _kind(tool: Mapping[str, Any], where: str) -> str:
    kind = tool.get("type")
    if kind not in ("function", "custom"):
        # dated ones too: web_search_preview_2025_03_11, computer_use_preview
        known = next((name for name in sorted(BUILT_IN, key=len, reverse=True) if str(kind).startswith(name)), None)
        if known is None:
            refuse(f"{where}.type", f"{kind!r} is no type of tool here: function and custom are")
        refuse(f"{where}.type", f"{kind} is a tool of OpenAI's own, which is not run here: {BUILT_IN[known]}")
    return str(kind)


def _name(tool: Mapping[str, Any], where: str) -> str:
    name = text(tool, "name", where)
    if not name:
        refuse(f"{where}.name", "must not be empty")
    return name


def _function(
    tool: Mapping[str, Any], name: str, where: str, left: int, omitted: set[str]
) -> tuple[Mapping[str, Any], int]:
    omitted.update(f"tools.{field}" for field in tool.keys() - _FUNCTION - _IGNORED)
    function: dict[str, Any] = {"name": name}
    if description := maybe(tool, "description", where):
        function["description"] = description
    parameters, strict = tool.get("parameters"), tool.get("strict")
    if parameters is not None:
        left = schemas.check(parameters, f"{where}.parameters", left)
        function["parameters"] = parameters
    if not isinstance(strict, bool | None):
        refuse(f"{where}.strict", "must be true or false")
    if strict is not None:
        function["strict"] = strict
    marked = {"cache_control": tool["cache_control"]} if isinstance(tool.get("cache_control"), dict) else {}
    return {"type": "function", "function": function, **marked}, left


def _custom(tool: Mapping[str, Any], name: str, where: str, omitted: set[str]) -> Mapping[str, Any]:
    omitted.update(f"tools.{field}" for field in tool.keys() - _CUSTOM - _IGNORED)
    given = tool.get("format")
    if given is not None and not isinstance(given, dict):
        refuse(f"{where}.format", "must be an object with a type")
    kind = "text" if given is None else given.get("type")
    if kind not in ("text", "grammar"):
        refuse(f"{where}.format.type", f"{kind!r} is no format: text and grammar are")
    grammar = given if kind == "grammar" else None
    if grammar is not None:
        for field in ("syntax", "definition"):
            text(grammar, field, f"{where}.format")
        omitted.add("tools.format")  # told, and held to by nobody
    return custom.function(name, maybe(tool, "description", where) or None, grammar)


def _chosen(choice: object, names: Mapping[str, bool]) -> tuple[set[str] | None, str | None]:
    """Which tools may be called (None: all), and how. `names`: of the tools, and whether they are of type custom."""
    if choice is None or isinstance(choice, str):
        if choice not in (None, *_MODES):
            refuse("tool_choice", f"{choice!r} is no choice: {', '.join(_MODES)} are, or an object that names a tool")
        if choice == "required" and not names:
            refuse("tool_choice", "required needs tools")
        return None, choice if names else None
    if not isinstance(choice, dict):
        refuse("tool_choice", "must be a text or an object")
    if choice.get("type") == "allowed_tools":
        return _allowed(choice, names)
    return None, _named(choice, names, "tool_choice")


def _allowed(choice: Mapping[str, Any], names: Mapping[str, bool]) -> tuple[set[str], str]:
    mode, tools = choice.get("mode"), choice.get("tools")
    if mode not in ("auto", "required"):
        refuse("tool_choice.mode", "must be auto or required")
    if not isinstance(tools, list) or not tools:
        refuse("tool_choice.tools", "must be a list of tools, and not empty")
    return {_named(tool, names, f"tool_choice.tools.{place}") for place, tool in enumerate(tools)}, str(mode)


def _named(choice: object, names: Mapping[str, bool], where: str) -> str:
    kind = choice.get("type") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or kind not in ("function", "custom"):
        refuse(f"{where}.type", f"{kind!r} cannot be chosen: function and custom can")
    name = text(choice, "name", where)
    if names.get(name) is not (kind == "custom"):
        refuse(f"{where}.name", f"{name!r} is not among the tools of type {kind}")
    return name


def listed(given: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """As an answer repeats them: with all that the SDKs' types want."""
    return [
        {"parameters": None, "strict": None, **tool} if tool.get("type") == "function" else dict(tool) for tool in given
    ]

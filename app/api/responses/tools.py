"""The tools of a request, and which of them may be called, in the one vocabulary: functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.api.openai import schemas
from app.api.responses import custom
from app.api.responses.parts import maybe, refuse, text
from app.domain.keys import Treatment

#: what OpenAI runs itself, or by a format of its own: no target here has them in a form that we could pass on
BUILT_IN: Mapping[str, str] = {
    "web_search": 'take it out of tools (Codex: `web_search = "disabled"`), or give a function that searches',
    "file_search": "take it out of tools, or give a function that searches",
    "code_interpreter": "take it out of tools, or give a function that runs code",
    "computer": "take it out of tools, or give functions that click and type",
    "image_generation": "take it out of tools, or give a function that makes images",
    "mcp": "let your client call the server, and give its tools as functions",
    "local_shell": "give a function that runs commands",
    "shell": "give a function that runs commands",
    "apply_patch": "give a function, or a tool of type custom, that applies patches",
    "tool_search": 'give all tools at once, or search for them yourself: "execution": "client"',
    "programmatic_tool_calling": "take it out of tools",
}
#: a search for tools that the client makes is a function like any other; what it finds may be called from then on
SEARCH = "tool_search"
#: an offer that a model may well do without, and that Codex makes unless it is told not to: left out and named
_SPARED = "web_search"
#: fields of a tool that change nothing where tools are called one by one by their client
_IGNORED = {"allowed_callers", "async", "defer_loading", "output_schema"}
_FUNCTION = {"execution", "type", "name", "description", "parameters", "strict", "cache_control"}
_CUSTOM = {"type", "name", "description", "format"}
_MODES = ("none", "auto", "required")


@dataclass(frozen=True, slots=True)
class Known:
    """A tool as the caller knows it."""

    name: str
    namespace: str | None = None
    #: function, custom, or tool_search
    kind: str = "function"


@dataclass(frozen=True, slots=True)
class Tools:
    #: those that may be called, OpenAI-style functions
    offered: tuple[Mapping[str, Any], ...] = ()
    #: see ChatRequest.tool_choice
    choice: str | None = None
    #: all of them, by the name they are offered under
    known: Mapping[str, Known] = field(default_factory=dict)
    #: names of what cannot be told to anybody
    omitted: tuple[str, ...] = ()


#: a tool of a request, and where it stands
Located = tuple[str, object]


def told_name(name: str, namespace: object) -> str:
    """No format but OpenAI's has namespaces."""
    return f"{namespace}__{name}" if isinstance(namespace, str) and namespace else name


def read(given: Iterable[Located], choice: object, treatment: Treatment | None = None) -> Tools:
    """Raises InvalidRequest that names it. `treatment`: of tools that only OpenAI runs, where the caller said one."""
    reader = _Reader(treatment)
    for where, tool in given:
        reader.tool(tool, where)
    names, chosen = _chosen(choice, reader.known)
    offered = tuple(tool for name, tool in reader.written.items() if names is None or name in names)
    return Tools(offered, chosen, reader.known, tuple(sorted(reader.omitted)))


class _Reader:
    def __init__(self, treatment: Treatment | None) -> None:
        self._treatment = treatment
        self._left = schemas.LARGEST
        self.written: dict[str, Mapping[str, Any]] = {}
        self.known: dict[str, Known] = {}
        self.omitted: set[str] = set()

    def tool(self, tool: object, where: str, namespace: str | None = None) -> None:
        if not isinstance(tool, dict):
            refuse(where, "must be an object with a type")
        kind = tool.get("type")
        if kind == "namespace" and namespace is None:
            self._namespace(tool, where)
        elif kind == SEARCH and tool.get("execution") == "client":
            self._called(SEARCH, None, SEARCH, self._function(tool, SEARCH, where), where)
        elif kind not in ("function", "custom"):
            self._built_in(str(kind), where)
        else:
            name = _name(tool, where)
            told = told_name(name, namespace)
            read_ = self._function if kind == "function" else self._custom
            self._called(name, namespace, kind, read_(tool, told, where), where)

    def _called(self, name: str, namespace: str | None, kind: str, written: Mapping[str, Any], where: str) -> None:
        """A tool that its client runs. One that was found, or given later, once more is the same one."""
        told, known = told_name(name, namespace), Known(name, namespace, kind)
        if told in self.known and not (self.known[told] == known and where.startswith("input.")):
            refuse(f"{where}.name", f"there are two tools {name!r}: give each its own name")
        self.known[told], self.written[told] = known, written

    def _namespace(self, tool: Mapping[str, Any], where: str) -> None:
        name, inner = _name(tool, where), tool.get("tools")
        if not isinstance(inner, list):
            refuse(f"{where}.tools", "must be a list of tools")
        if tool.get("description"):
            self.omitted.add("tools.namespace.description")
        for place, each in enumerate(inner):
            self.tool(each, f"{where}.tools.{place}", name)

    def _built_in(self, kind: str, where: str) -> None:
        # dated ones too: web_search_preview_2025_03_11, computer_use_preview
        known = next((name for name in BUILT_IN if kind.startswith(name)), None)
        if known is None:
            refuse(f"{where}.type", f"{kind!r} is no type of tool here: function, custom and namespace are")
        is_spared = known == _SPARED and self._treatment is not Treatment.STRICT
        if not is_spared and self._treatment is not Treatment.DROP:
            refuse(
                f"{where}.type",
                f"{kind} is a tool of OpenAI's own, which is not run here: {BUILT_IN[known]},"
                f" or send X-Tooloo-Parameters: drop, which leaves it out",
            )
        self.omitted.add(f"tools.{kind}")

    def _function(self, tool: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
        self.omitted.update(f"tools.{each}" for each in tool.keys() - _FUNCTION - _IGNORED)
        function: dict[str, Any] = {"name": name}
        if description := maybe(tool, "description", where):
            function["description"] = description
        parameters, strict = tool.get("parameters"), tool.get("strict")
        if parameters is not None:
            self._left = schemas.check(parameters, f"{where}.parameters", self._left)
            function["parameters"] = parameters
        if not isinstance(strict, bool | None):
            refuse(f"{where}.strict", "must be true or false")
        if strict is not None:
            function["strict"] = strict
        marked = {"cache_control": tool["cache_control"]} if isinstance(tool.get("cache_control"), dict) else {}
        return {"type": "function", "function": function, **marked}

    def _custom(self, tool: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
        self.omitted.update(f"tools.{each}" for each in tool.keys() - _CUSTOM - _IGNORED)
        given = tool.get("format")
        if given is not None and not isinstance(given, dict):
            refuse(f"{where}.format", "must be an object with a type")
        kind = "text" if given is None else given.get("type")
        if kind not in ("text", "grammar"):
            refuse(f"{where}.format.type", f"{kind!r} is no format: text and grammar are")
        grammar = given if kind == "grammar" else None
        if grammar is not None:
            for each in ("syntax", "definition"):
                text(grammar, each, f"{where}.format")
            self.omitted.add("tools.format")  # told, and held to by nobody
        return custom.function(name, maybe(tool, "description", where) or None, grammar)


def _name(tool: Mapping[str, Any], where: str) -> str:
    name = text(tool, "name", where)
    if not name:
        refuse(f"{where}.name", "must not be empty")
    return name


def _chosen(choice: object, names: Mapping[str, Known]) -> tuple[set[str] | None, str | None]:
    """Which tools may be called (None: all), and how; by the names they are offered under."""
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


def _allowed(choice: Mapping[str, Any], names: Mapping[str, Known]) -> tuple[set[str], str]:
    mode, tools = choice.get("mode"), choice.get("tools")
    if mode not in ("auto", "required"):
        refuse("tool_choice.mode", "must be auto or required")
    if not isinstance(tools, list) or not tools:
        refuse("tool_choice.tools", "must be a list of tools, and not empty")
    return {_named(tool, names, f"tool_choice.tools.{place}") for place, tool in enumerate(tools)}, str(mode)


def _named(choice: object, names: Mapping[str, Known], where: str) -> str:
    kind = choice.get("type") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or kind not in ("function", "custom"):
        refuse(f"{where}.type", f"{kind!r} cannot be chosen: function and custom can")
    name = text(choice, "name", where)
    told = told_name(name, choice.get("namespace"))
    if told not in names or names[told].kind != kind:
        refuse(f"{where}.name", f"{name!r} is not among the tools of type {kind}")
    return told


def listed(given: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """As an answer repeats them: with all that the SDKs' types want."""
    return [
        {"parameters": None, "strict": None, **tool} if tool.get("type") == "function" else dict(tool) for tool in given
    ]

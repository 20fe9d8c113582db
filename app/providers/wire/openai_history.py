"""Turns and tools in the OpenAI format, as the server at hand takes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.domain.targets.capabilities import Capabilities
from app.errors import BadRequest, Unsupported
from app.providers.base import ChatRequest, Message, ToolCall
from app.providers.conversation import Audio, Block, File, Image, Refusal, Text, google_signature
from app.providers.wire import history, media, tools
from app.providers.wire.openai_servers import Server
from app.providers.wire.spelling import Names

#: characters of a name
NAME = 64
#: a tool message holds text only: what its images are, where they stand in a turn of the user's behind it
_SHOWN_BELOW = "(see the next message)"
_SHOWN = "(of the result of {name}, {id})"
#: stands for what was thought elsewhere: DeepSeek refuses none, and an empty one
_UNTHOUGHT = " "
#: at the root of a tool's schema, beside alternatives: OpenAI refuses them
_ROOT = ("enum", "not")


def messages(can: Capabilities, server: Server, request: ChatRequest, names: Names) -> list[dict[str, Any]]:
    """Raises BadRequest or Unsupported for what the server cannot be told."""
    turns = [turn for turn in history.arranged(request, server.ids, names) if not history.is_idle(turn)]
    history.refuse_nothing(not turns)
    thinks = server.wants_reasoning and (bool(request.tools) or any(turn.tool_calls for turn in turns))
    written = list(_written(can, server, turns, thinks))
    if server.answers_users:
        written = list(_in_order(written))
    if can.prefill_mark == "prefix" and written[-1]["role"] == "assistant":
        written[-1]["prefix"] = True
    elif server.answers_users and written[-1]["role"] == "system":
        written[-1]["role"] = "user"
    return written


def _in_order(written: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """As Mistral wants roles to follow each other: who speaks behind a tool is the assistant, nobody a system late."""
    before = ""
    for turn in written:
        if turn["role"] == "system" and before in ("assistant", "tool"):
            turn["role"] = "user"
        if turn["role"] == "user" and before == "tool":
            yield {"role": "assistant", "content": history.RECEIVED}
        yield turn
        before = turn["role"]


def _written(can: Capabilities, server: Server, turns: Iterable[Message], thinks: bool) -> Iterator[dict[str, Any]]:
    held: list[dict[str, Any]] = []
    for turn in turns:
        if held and turn.role != "tool":
            yield {"role": "user", "content": held}
            held = []
        if turn.role == "tool":
            yield _result(can, server, turn, held)
        else:
            yield _turn(can, server, turn, thinks)
    if held:
        yield {"role": "user", "content": held}


def _turn(can: Capabilities, server: Server, turn: Message, thinks: bool) -> dict[str, Any]:
    # the name developer is OpenAI's own; others refuse it
    role = "system" if turn.role == "developer" and not server.is_openai else turn.role
    written: dict[str, Any] = {"role": role, "content": _content(can, server, turn)}
    if turn.name and server.names and (name := _name(server, turn.name)):
        written["name"] = name
    if turn.role == "assistant":
        _add_refusal(server, turn, written)
        _add_thoughts(server, turn, thinks, written)
        _add_calls(can, server, turn, written)
    return written


def _name(server: Server, name: str) -> str:
    """As far as the server takes it: OpenAI refuses blanks in one, and more than 64 characters."""
    return server.unspeakable.sub("_", name).strip("_")[:NAME] if server.unspeakable else name


def _add_refusal(server: Server, turn: Message, written: dict[str, Any]) -> None:
    if server.is_openai and not isinstance(turn.content, str):
        refusals = [block.text for block in turn.content if isinstance(block, Refusal)]
        if refusals:
            said = "".join(block.text for block in turn.content if isinstance(block, Text))
            written |= {"content": said or None, "refusal": "".join(refusals)}


def _add_thoughts(server: Server, turn: Message, thinks: bool, written: dict[str, Any]) -> None:
    if not (thinks or turn.reasoning or turn.extra):  # nearly all are so
        return
    if server.reasoning is not None:
        mine = turn.reasoning if history.may_have(turn, server.keeps, unowned=True) else ""
        if mine or thinks:
            written[server.reasoning] = mine or _UNTHOUGHT
    written |= {name: value for name, value in turn.extra.items() if name in server.keeps}


def _add_calls(can: Capabilities, server: Server, turn: Message, written: dict[str, Any]) -> None:
    if not turn.tool_calls:
        return
    # beside calls an empty list or text is refused, or loses the turn (Ollama)
    written["content"] = written["content"] or None
    written["tool_calls"] = [_call(can, server, call, place == 0) for place, call in enumerate(turn.tool_calls)]


def _call(can: Capabilities, server: Server, call: ToolCall, is_first: bool) -> dict[str, Any]:
    written: dict[str, Any] = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": _arguments(server, call)},
    }
    if call.extra and "extra_content" in server.keeps:
        written["extra_content"] = call.extra
    if can.signed_calls and not server.is_openai and is_first and not google_signature(call.extra):
        written["extra_content"] = {**(call.extra or {}), "google": {"thought_signature": history.NO_SIGNATURE}}
    return written


def _arguments(server: Server, call: ToolCall) -> str:
    """As the model wrote them; many servers but OpenAI's read them, and take nothing that is no object."""
    if not call.arguments.strip():
        return "{}"
    if server.is_openai or history.json_object(call.arguments) is not None:
        return call.arguments
    return json.dumps(history.arguments(call))


def _result(can: Capabilities, server: Server, turn: Message, held: list[dict[str, Any]]) -> dict[str, Any]:
    said = history.text_of(turn)
    if not history.is_text(turn):
        shown = [_part(can, server, block) for block in history.blocks(turn) if not isinstance(block, Text)]
        held += [{"type": "text", "text": _SHOWN.format(name=turn.name, id=turn.tool_call_id)}, *shown]
        said = said if said.strip() else _SHOWN_BELOW
    return {"role": "tool", "content": said, "tool_call_id": turn.tool_call_id}


def _content(can: Capabilities, server: Server, turn: Message) -> str | list[dict[str, Any]]:
    """Nothing but text is one text: Groq and others take no list of parts there."""
    if isinstance(turn.content, str):
        return turn.content
    if history.is_text(turn) and not ("cache_control" in server.keeps and any(block.cache for block in turn.content)):
        return history.text_of(turn)
    if turn.role != "user" and not history.is_text(turn):
        raise BadRequest(f"a {turn.role} message takes text only")
    return [_part(can, server, block) for block in history.blocks(turn)] or ""


def _part(can: Capabilities, server: Server, block: Block) -> dict[str, Any]:
    written = _bare(can, block)
    return written | {"cache_control": block.cache} if block.cache and "cache_control" in server.keeps else written


def _bare(can: Capabilities, block: Block) -> dict[str, Any]:
    sees = can.vision or can.files or can.audio  # what of it is for the model itself to refuse, where it is named
    match block:
        case Text() | Refusal():
            return {"type": "text", "text": block.text}
        case Image() if sees:
            detail = {"detail": block.detail} if block.detail else {}
            return {"type": "image_url", "image_url": {"url": media.proper_url(block.url, "an image"), **detail}}
        case File() if sees:
            named = {"file_id": block.id, "file_data": block.url, "filename": block.name}
            return {"type": "file", "file": {name: value for name, value in named.items() if value}}
        case Audio() if sees:
            return {"type": "input_audio", "input_audio": {"data": block.data, "format": block.format}}
    raise Unsupported("this model takes text only", field=block.place or None)


def told(server: Server, request: ChatRequest, names: Names) -> tuple[dict[str, Any], list[str]]:
    """The tools as they came but for what the server refuses; and what of tools and turns it cannot be told."""
    if not request.tools and all(map(history.is_bare, request.messages)):
        return {}, []
    kept = server.keeps | {"image_url.detail", "file.filename"} | ({"name"} if server.names else set())
    dropped = set(history.left_out(request, kept, unowned=server.reasoning is not None))
    if any(turn.name and turn.role != "tool" and _name(server, turn.name) != turn.name for turn in request.messages):
        dropped.add("name")
    written = []
    for given, tool in zip(request.tools, tools.tools(request), strict=True):
        function = _told(server, given["function"], tools.FUNCTION) | {"name": names.sent(tool.name)}
        if "parameters" in function:
            function["parameters"], lost = _parameters(server, tool.parameters)
            dropped.update(lost)
        dropped.update(f"tools.{name}" for name in tool.unknown if server.is_strict)
        written.append(_without_marks(server, _told(server, given, tools.TOOL) | {"function": function}, dropped))
    if any(call.cache for turn in request.messages for call in turn.tool_calls):  # no place for it in this format
        dropped.add("cache_control")
    document: dict[str, Any] = {"tools": written} if written else {}
    if written and request.tool_choice is not None:
        document["tool_choice"] = _tool_choice(request, names)
    return document, sorted(dropped)


def _told(server: Server, given: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Of a tool or its function, what says something and the server does not refuse."""
    return {
        name: value for name, value in given.items() if value is not None and (name in known or not server.is_strict)
    }


def _tool_choice(request: ChatRequest, names: Names) -> object:
    choice = str(request.tool_choice)
    if request.allowed_tools:
        allowed = [{"type": "function", "function": {"name": names.sent(name)}} for name in request.allowed_tools]
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice, "tools": allowed}}
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": names.sent(choice)}}


def _parameters(server: Server, given: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    lost: tuple[str, ...] = ()
    if server.folds:
        given, lost = tools.folded(given)
    elif given.get("type") != "object":
        given = {"properties": {}, **given, "type": "object"}
    if server.is_openai and (refused := [word for word in _ROOT if word in given]):
        given = {word: value for word, value in given.items() if word not in refused}
        lost = (*lost, *(f"tools.parameters.{word}" for word in refused))
    return (tools.itemized(given) if server.itemizes else given), lost


def _without_marks(server: Server, tool: dict[str, Any], dropped: set[str]) -> dict[str, Any]:
    function: Mapping[str, Any] = tool["function"]
    if "cache_control" in server.keeps or not ("cache_control" in tool or "cache_control" in function):
        return tool
    dropped.add("cache_control")
    bare = {name: value for name, value in function.items() if name != "cache_control"}
    return {name: value for name, value in tool.items() if name != "cache_control"} | {"function": bare}

"""The `messages` of a request, read into turns. An error names the field itself, such as messages.0.content.1.type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from app.api.openai import litellm_fields, parts
from app.errors import InvalidRequest
from app.providers.base import Message, ToolCall
from app.providers.conversation import Block, Mark, Refusal

ROLES = ("system", "developer", "user", "assistant", "tool")
#: fields of a message, and of a call in it, that we have a word for
_FIELDS = frozenset(
    {
        *("role", "content", "name", "tool_calls", "tool_call_id", "refusal", "reasoning_content", "reasoning"),
        *("thinking_blocks", "reasoning_details", "extra_content", "cache_control"),
    }
)
#: all there is in nearly every one
_PLAIN = frozenset({"role", "content", "tool_call_id"})
_CALL_FIELDS = frozenset({"id", "type", "index", "function", "extra_content", "cache_control"})
_FUNCTION_FIELDS = frozenset({"name", "arguments", "cache_control"})
#: what a provider wants back with its turn, as it was given to the client → what it has to be
_EXTRA: Mapping[str, type] = {"thinking_blocks": list, "reasoning_details": list, "extra_content": dict}


def read(given: Sequence[object], *, strict: bool = False) -> tuple[Message, ...]:
    """Raises InvalidRequest that names the field. `strict`: also for one that we have no word for."""
    messages = tuple(_message(turn, f"messages.{place}") for place, turn in enumerate(given))
    _results_have_calls(messages)
    for place, message in enumerate(messages if strict else ()):
        if message.unknown:
            _refuse(f"messages.{place}.{message.unknown[0]}", "an unknown field: it may change what you mean")
    return messages


def _message(turn: object, where: str) -> Message:
    if not isinstance(turn, dict):
        _refuse(where, "must be an object with role and content")
    role = turn.get("role")
    if role not in ROLES:
        _refuse(f"{where}.role", f"{role!r} is no role: {', '.join(ROLES)} are")
    turn = litellm_fields.opened(turn, _FIELDS)
    content, thoughts = _content(turn, role, where)
    calls = _tool_calls(turn, role, where)
    is_assistant = role == "assistant"
    return Message(
        role=role,
        content=content,
        tool_calls=calls if content or not calls else _marked(calls, parts.mark_of(turn, where)),
        tool_call_id=(_text(turn, "tool_call_id", where) or "") if role == "tool" else None,
        name=_text(turn, "name", where),
        reasoning=_reasoning(turn, where) if is_assistant else "",
        extra=_extra(turn, thoughts, where) if is_assistant else {},
        unknown=() if turn.keys() <= _PLAIN and isinstance(content, str) else tuple(dict.fromkeys(_unknown(turn))),
    )


def _unknown(turn: Mapping[str, Any]) -> Iterator[str]:
    """Fields of a message that was read, and of what is in it, that nobody here has a word for."""
    yield from (name for name in parts.saying(turn) if name not in _FIELDS)
    if turn.get("reasoning") not in (None, "", _reasoning(turn, "")):
        yield "reasoning"
    yield from parts.unknown(turn.get("content"))
    for call in turn.get("tool_calls") or ():
        yield from (f"tool_calls.{name}" for name in _beside(call, _CALL_FIELDS))
        yield from (f"tool_calls.function.{name}" for name in _beside(call["function"], _FUNCTION_FIELDS))


def _beside(given: Mapping[str, Any], known: frozenset[str]) -> Iterator[str]:
    """Of a call or its function."""
    for name in parts.saying(given):
        if name not in known and not (name == litellm_fields.NAME and litellm_fields.is_opened(given[name])):
            yield name


def _content(turn: Mapping[str, Any], role: str, where: str) -> tuple[str | tuple[Block, ...], list[dict[str, Any]]]:
    """The content, and thoughts of Claude's that stand in it."""
    given, refusal = turn.get("content"), _text(turn, "refusal", where)
    mark = parts.mark_of(turn, where)
    if isinstance(given, str) and not refusal and mark is None:
        return given, []
    if given is None and not refusal:
        if role == "tool":
            return parts.marked((), mark), []
        if role == "assistant":
            return "", []
        _refuse(f"{where}.content", f"a {role} message needs content")
    blocks, thoughts = parts.read(given, role, f"{where}.content")
    if refusal and role == "assistant":
        blocks = (*blocks, Refusal(refusal))
    return parts.marked(blocks, mark), thoughts


def _tool_calls(turn: Mapping[str, Any], role: str, where: str) -> tuple[ToolCall, ...]:
    given = turn.get("tool_calls")
    if not given:
        return ()
    if role != "assistant":
        _refuse(f"{where}.tool_calls", f"a {role} message cannot call tools")
    if not isinstance(given, list):
        _refuse(f"{where}.tool_calls", "must be a list")
    return tuple(_tool_call(call, f"{where}.tool_calls.{place}") for place, call in enumerate(given))


def _tool_call(call: object, where: str) -> ToolCall:
    if not isinstance(call, dict):
        _refuse(where, "must be an object")
    if call.get("type", "function") != "function":
        _refuse(f"{where}.type", "must be 'function'")
    function = call.get("function")
    if not isinstance(function, dict):
        _refuse(f"{where}.function", "must be an object with name and arguments")
    name = _text(function, "name", f"{where}.function")
    if not name:
        _refuse(f"{where}.function.name", "must be a text, and not empty")
    extra = litellm_fields.opened_call(call, function)
    if extra is not None and not isinstance(extra, dict):
        _refuse(f"{where}.extra_content", "must be an object")
    arguments = _text(function, "arguments", f"{where}.function") or ""
    mark = parts.mark_of(call, where) or parts.mark_of(function, f"{where}.function")
    # some servers give no ids: those without one are answered in their order
    return ToolCall(_text(call, "id", where) or "", name, arguments, extra or None, mark)


def _marked(calls: tuple[ToolCall, ...], mark: Mark | None) -> tuple[ToolCall, ...]:
    """A mark of the whole message is that of its last call, where it says nothing else."""
    return calls if mark is None else (*calls[:-1], replace(calls[-1], cache=calls[-1].cache or mark))


def _reasoning(turn: Mapping[str, Any], where: str) -> str:
    """DeepSeek's name for it, or OpenRouter's."""
    return _text(turn, "reasoning_content", where) or _text(turn, "reasoning", where) or ""


def _extra(turn: Mapping[str, Any], thoughts: list[dict[str, Any]], where: str) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for name, kind in _EXTRA.items():
        value = turn.get(name)
        if value is not None and not isinstance(value, kind):
            _refuse(f"{where}.{name}", f"must be {'a list' if kind is list else 'an object'}")
        if isinstance(value, list) and not all(isinstance(each, dict) for each in value):
            _refuse(f"{where}.{name}", "must hold objects")
        if value:
            found[name] = value
    if thoughts and "thinking_blocks" not in found:
        found["thinking_blocks"] = thoughts
    return found


def _text(given: Mapping[str, Any], name: str, where: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        _refuse(f"{where}.{name}", "must be a text")
    return value


def _results_have_calls(messages: Iterable[Message]) -> None:
    """Raises InvalidRequest for a result whose call stands nowhere before it, or has a result for each time it did."""
    waiting: dict[str, int] = {}
    for place, message in enumerate(messages):
        for call in message.tool_calls:
            waiting[call.id] = waiting.get(call.id, 0) + 1
        if message.role == "tool":
            answered = message.tool_call_id or ""
            if not waiting.get(answered):
                _refuse(
                    f"messages.{place}.tool_call_id",
                    f"no call {answered!r} that waits for a result stands before this message:"
                    " send the assistant's turn with that call, and one result for it",
                )
            waiting[answered] -= 1


def _refuse(field: str, why: str) -> NoReturn:
    raise InvalidRequest(f"{field}: {why}", field=field)

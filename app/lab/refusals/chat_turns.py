"""Every server of the OpenAI format: how turns are written and how they follow each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.lab.refusals import chat
from app.lab.refusals.rule import CHAT, Body, Kind, Offence, Rule, documented, of, reported

_REFERENCE = "https://platform.openai.com/docs/api-reference/chat/create"
_TOOL_GUIDE = "https://platform.openai.com/docs/guides/function-calling"


def _empty_content(body: Body) -> Iterator[Offence]:
    for path, message in chat.messages(body):
        if message.get("content") == []:
            yield Offence(f"{path}.content", _TOO_FEW)


def _null_content(body: Body) -> Iterator[Offence]:
    for path, message in chat.messages(body):
        says_otherwise = any(message.get(name) for name in ("tool_calls", "function_call", "refusal", "audio"))
        if message.get("content") is None and not (message.get("role") == "assistant" and says_otherwise):
            yield Offence(f"{path}.content", "Invalid value for 'content': expected a string, got null.")


def _empty_calls(body: Body) -> Iterator[Offence]:
    for path, message in chat.messages(body):
        if message.get("tool_calls") == []:
            yield Offence(f"{path}.tool_calls", _TOO_FEW)


def _arguments(body: Body) -> Iterator[Offence]:
    for path, call in _all_calls(body):
        arguments = (call.get("function") or {}).get("arguments")
        if call.get("type", "function") == "function" and not isinstance(arguments, str):
            named = {dict: "object", list: "array", type(None): "null"}.get(type(arguments), type(arguments).__name__)
            says = f"Invalid type for '{{field}}': expected a string, but got {named} instead."
            yield Offence(f"{path}.function.arguments", says)


def _orphaned_result(body: Body) -> Iterator[Offence]:
    open_ids: set[str] = set()
    for path, message in chat.messages(body):
        if message.get("role") != "tool":
            open_ids = set(chat.call_ids(message))
        elif message.get("tool_call_id") in open_ids:
            open_ids.discard(message["tool_call_id"])
        else:
            yield Offence(f"{path}.role", _ORPHAN)


def _missing_result(body: Body) -> Iterator[Offence]:
    waiting: list[str] = []
    turn = ""
    for path, message in chat.messages(body):
        if message.get("role") == "tool":
            waiting = [each for each in waiting if each != message.get("tool_call_id")]
            continue
        if waiting:
            yield _unanswered(turn, waiting)
        waiting, turn = chat.call_ids(message), path
    if waiting:
        yield _unanswered(turn, waiting)


def _unanswered(turn: str, waiting: list[str]) -> Offence:
    return Offence(
        turn,
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {', '.join(waiting)}",
    )


def _repeated_id(body: Body) -> Iterator[Offence]:
    for path, message in chat.messages(body):
        ids = chat.call_ids(message)
        for number, each in enumerate(ids):
            if each in ids[:number]:
                yield Offence(f"{path}.tool_calls.{number}.id", f"Duplicate value for 'tool_call_id' of '{each}'")


def _image_elsewhere(body: Body) -> Iterator[Offence]:
    for path, part in chat.all_parts(body, "system", "developer", "assistant", "tool"):
        if part.get("type") == "image_url":
            message = ".".join(path.split(".")[:2])
            role = body["messages"][int(path.split(".")[1])]["role"]
            yield Offence(
                message,
                "Invalid '{field}'. Image URLs are only allowed for messages with role 'user', but this message with "
                f"role '{role}' contains an image URL.",
            )


def _all_calls(body: Body) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, message in chat.messages(body):
        yield from chat.calls(path, message)


_TOO_FEW = "Invalid '{field}': empty array. Expected an array with minimum length 1, but got an empty array instead."
_ORPHAN = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."

RULES = (
    Rule(
        id="chat-empty-content",
        kinds=CHAT,
        about="a message whose content is an empty list",
        source=reported("pydantic/pydantic-ai#5206, vercel/ai#12390"),
        check=_empty_content,
        code="empty_array",
    ),
    Rule(
        id="chat-null-content",
        kinds=CHAT,
        about="no content, but for an assistant turn with tool calls, audio or a refusal",
        source=documented(_REFERENCE),
        check=_null_content,
    ),
    Rule(
        id="chat-empty-tool-calls",
        kinds=CHAT,
        about="an empty list of tool calls",
        source=reported("vercel/ai#14613"),
        check=_empty_calls,
        code="empty_array",
    ),
    Rule(
        id="chat-arguments",
        kinds=CHAT,
        about="arguments of a call that are no string",
        source=documented(_REFERENCE),
        check=_arguments,
        code="invalid_type",
    ),
    Rule(
        id="chat-orphaned-result",
        kinds=CHAT,
        about="a tool message that answers no call of the assistant turn before it",
        source=documented(f"{_TOOL_GUIDE}; miurla/morphic#136, qwersyk/Newelle#425"),
        check=_orphaned_result,
    ),
    Rule(
        id="chat-missing-result",
        kinds=CHAT,
        about="a call without its tool message, or anything between the two",
        source=documented(f"{_TOOL_GUIDE}; microsoft/promptflow#3130"),
        check=_missing_result,
    ),
    Rule(
        id="chat-repeated-call-id",
        kinds=CHAT,
        about="two calls of one turn with one id",
        source=documented(_TOOL_GUIDE),
        check=_repeated_id,
    ),
    Rule(
        id="chat-image-elsewhere",
        # what the OpenAI format says; Gemini's endpoint and OpenRouter hand on to models that take it
        kinds=CHAT - of(Kind.OPENROUTER, Kind.GEMINI_OPENAI),
        about="an image in any message but the user's",
        source=reported("OpenHands/OpenHands#7700, openai/openai-node#1030, openai/openai-openapi#523"),
        check=_image_elsewhere,
        code="invalid_value",
    ),
)

"""Servers of the OpenAI format: names, and what stands in a request that does not belong there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.lab.refusals import chat
from app.lab.refusals.rule import CHAT, Body, Kind, Offence, Rule, documented, of, reported

_REFERENCE = "https://platform.openai.com/docs/api-reference/chat/create"
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
#: keys of a content part, by its type
_PART_KEYS = {
    "text": {"type", "text", "prompt_cache_breakpoint"},
    "image_url": {"type", "image_url", "prompt_cache_breakpoint"},
    "input_audio": {"type", "input_audio", "prompt_cache_breakpoint"},
    "file": {"type", "file", "prompt_cache_breakpoint"},
    "refusal": {"type", "refusal"},
}
#: keys of a message, by its role
_MESSAGE_KEYS = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "refusal", "audio", "tool_calls", "function_call"},
    "tool": {"role", "content", "tool_call_id"},
    "function": {"role", "content", "name"},
}
_OPENAI_TEXT = """
    audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens messages
    metadata modalities model moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key
    prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier
    stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity web_search_options
"""
_OPENAI_KEYS = frozenset(_OPENAI_TEXT.split())
_MISTRAL_TEXT = """
    frequency_penalty guardrails max_tokens messages metadata model n parallel_tool_calls prediction presence_penalty
    prompt_cache_key prompt_mode random_seed reasoning_effort response_format safe_prompt stop stream temperature
    tool_choice tools top_p
"""
_MISTRAL_KEYS = frozenset(_MISTRAL_TEXT.split())
_MISTRAL_MESSAGE_KEYS = {**_MESSAGE_KEYS, "assistant": {"role", "content", "tool_calls", "prefix"}} | {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "tool": {"role", "content", "tool_call_id", "name"},
}


def _tool_name(body: Body) -> Iterator[Offence]:
    for path, function in chat.functions(body):
        yield from _misnamed(f"{path}.name", function)
    for path, message in chat.messages(body):
        for place, call in chat.calls(path, message):
            if "function" in call:
                yield from _misnamed(f"{place}.function.name", call["function"])


def _misnamed(path: str, function: Mapping[str, Any]) -> Iterator[Offence]:
    if not _NAME.fullmatch(str(function.get("name"))):
        expected = "Expected a string that matches the pattern '^[a-zA-Z0-9_-]{1,64}$'."
        yield Offence(path, f"Invalid '{{field}}': string does not match pattern. {expected}")


def _repeated_tool(body: Body) -> Iterator[Offence]:
    seen: set[str] = set()
    for path, function in chat.functions(body):
        name = str(function.get("name"))
        if name in seen:
            yield Offence(f"{path}.name", f"Invalid '{{field}}': tool names must be unique, '{name}' is there twice.")
        seen.add(name)


def _part_keys(body: Body) -> Iterator[Offence]:
    for path, part in chat.all_parts(body):
        known = _PART_KEYS.get(str(part.get("type")), set(part))
        for key in sorted(set(part) - known):
            yield Offence(f"{path}.{key}", "Unknown parameter: '{field}'.")


def _part_type(body: Body) -> Iterator[Offence]:
    for path, part in chat.all_parts(body):
        if part.get("type") not in _PART_KEYS:
            known = ", ".join(f"'{name}'" for name in _PART_KEYS)
            yield Offence(f"{path}.type", f"Invalid value: '{part.get('type')}'. Supported values are: {known}.")


def _openai_message_keys(body: Body) -> Iterator[Offence]:
    for path, _ in _unknown_keys(body, _MESSAGE_KEYS):
        if not path.endswith(".cache_control"):  # has a rule of its own
            yield Offence(path, "Unknown parameter: '{field}'.")


def _groq_message_keys(body: Body) -> Iterator[Offence]:
    known = {**_MESSAGE_KEYS, "assistant": _MESSAGE_KEYS["assistant"] | {"reasoning"}}
    for path, role in _unknown_keys(body, known):
        message, key = path.rsplit(".", 1)
        satisfied = f"[('{message}' : property '{key}' is unsupported)]"
        yield Offence(path, f"'{message}' : for 'role:{role}' the following must be satisfied{satisfied}")


def _mistral_keys(body: Body) -> Iterator[Offence]:
    for key in sorted(set(body) - _MISTRAL_KEYS):
        yield Offence(key, "Extra inputs are not permitted")
    for path, _ in _unknown_keys(body, _MISTRAL_MESSAGE_KEYS):
        yield Offence(path, "Extra inputs are not permitted")


def _unknown_keys(body: Body, known: Mapping[str, set[str]]) -> Iterator[tuple[str, str]]:
    """Path and role."""
    for path, message in chat.messages(body):
        role = str(message.get("role"))
        for key in sorted(set(message) - known.get(role, set(message))):
            yield f"{path}.{key}", role


def _openai_keys(body: Body) -> Iterator[Offence]:
    for key in sorted(set(body) - _OPENAI_KEYS - {"cache_control"}):
        yield Offence(key, "Unrecognized request argument supplied: {field}")


def _groq_keys(body: Body) -> Iterator[Offence]:
    groq = {"reasoning_format", "include_reasoning", "compound_custom", "disable_tool_validation", "documents"}
    for key in sorted(set(body) - _OPENAI_KEYS - groq):
        yield Offence(key, f"property '{key}' is unsupported")


def _cache_marks(body: Body) -> Iterator[Offence]:
    for path, key in _keys("", body):
        if key == "cache_control" and not path.startswith("tools."):
            yield Offence(path, "Unknown parameter: '{field}'.")
    for number, tool in enumerate(body.get("tools") or ()):
        if "cache_control" in tool or "cache_control" in (tool.get("function") or {}):
            yield Offence(f"tools.{number}.cache_control", "Unknown parameter: '{field}'.")


def _keys(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every key of an object anywhere in the value, and its path."""
    inside = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        place = f"{path}.{key}".lstrip(".")
        if isinstance(key, str):
            yield place, key
        yield from _keys(place, each)


RULES = (
    Rule(
        id="chat-tool-name",
        kinds=CHAT,
        about="names of tools beyond letters, digits, _ and -, or over 64 characters",
        source=documented(_REFERENCE),
        check=_tool_name,
        code="invalid_value",
    ),
    Rule(
        id="chat-repeated-tool",
        kinds=CHAT,
        about="two tools of one name",
        source=documented(_REFERENCE),
        check=_repeated_tool,
        code="invalid_value",
    ),
    Rule(
        id="openai-cache-control",
        kinds=of(Kind.OPENAI),
        about="Anthropic's cache marks",
        source=documented(_REFERENCE),
        check=_cache_marks,
        code="unknown_parameter",
    ),
    Rule(
        id="chat-part-type",
        kinds=of(Kind.OPENAI),
        about="content parts of a type the format does not have",
        source=documented(_REFERENCE),
        check=_part_type,
        code="invalid_value",
    ),
    Rule(
        id="chat-part-keys",
        kinds=of(Kind.OPENAI, Kind.GROQ),
        about="unknown keys in a content part",
        source=reported("tashfeenahmed/freellmapi#1070, teabranch/open-responses-server#41"),
        check=_part_keys,
        code="unknown_parameter",
    ),
    Rule(
        id="openai-message-keys",
        kinds=of(Kind.OPENAI),
        about="unknown keys in a message, such as another vendor's reasoning_content",
        source=documented(_REFERENCE),
        check=_openai_message_keys,
        code="unknown_parameter",
    ),
    Rule(
        id="openai-keys",
        kinds=of(Kind.OPENAI),
        about="unknown keys of the request",
        source=reported("teabranch/open-responses-server#41"),
        check=_openai_keys,
    ),
    Rule(
        id="groq-message-keys",
        kinds=of(Kind.GROQ),
        about="unknown keys in a message, such as another vendor's reasoning_content",
        source=reported("janhq/jan#8136, tashfeenahmed/freellmapi#1070"),
        check=_groq_message_keys,
    ),
    Rule(
        id="groq-keys",
        kinds=of(Kind.GROQ),
        about="unknown keys of the request",
        source=reported("musistudio/claude-code-router#1204"),
        check=_groq_keys,
    ),
    Rule(
        id="mistral-keys",
        kinds=of(Kind.MISTRAL),
        about="unknown keys of the request or of a message",
        source=reported("BerriAI/litellm#30835, charmbracelet/crush#1590, nomtek/mistralai_client_dart#44"),
        check=_mistral_keys,
        status=422,
    ),
)

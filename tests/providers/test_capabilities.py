"""The capability matrix: which rule holds, what a block says over it, and what goes on the wire for it."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.catalog import Provider, SchemaBy, WireFormat
from app.errors import Unsupported
from app.providers import capabilities
from app.providers.base import JsonSchema
from tests.providers.test_requests import told
from tests.providers.test_structured import told as told_by

OPENAI, ANTHROPIC, GEMINI = WireFormat.OPENAI, WireFormat.ANTHROPIC, WireFormat.GEMINI
TOOL: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


@pytest.mark.parametrize(
    ("wire", "model", "expected"),
    [
        (OPENAI, "nobody-knows", {"vision": True, "max_output": 0, "limit": "max_tokens", "json_schema": "native"}),
        (OPENAI, "deepseek-chat", {"vision": False, "max_output": 8192, "forced_tool": True}),
        (OPENAI, "deepseek/deepseek-v4", {"vision": False, "forced_tool": False}),
        (OPENAI, "openai/gpt-5-mini", {"parameters": ("seed",), "limit": "max_completion_tokens", "audio": False}),
        (OPENAI, "gpt-5-chat-latest", {"limit": "max_tokens", "effort": "none"}),
        (OPENAI, "gpt-4o-audio-preview", {"audio": True}),
        (OPENAI, "anthropic/claude-opus-4.8", {"parameters": ("stop", "seed")}),
        (OPENAI, "kimi-k2-thinking", {"parameters": ("stop", "seed", "frequency_penalty", "presence_penalty")}),
        (ANTHROPIC, "claude-3-haiku-20240307", {"max_output": 4096}),
        (ANTHROPIC, "claude-3-5-haiku-20241022", {"max_output": 8192}),
        (ANTHROPIC, "claude-3-7-sonnet-20250219", {"max_output": 64_000}),
        (ANTHROPIC, "claude-opus-4-1-20250805", {"max_output": 32_000}),
        (ANTHROPIC, "claude-opus-4-20250514", {"max_output": 32_000}),
        (ANTHROPIC, "claude-opus-4-5", {"max_output": 64_000, "effort": "output_config", "prefill": True}),
        (ANTHROPIC, "claude-opus-4-6", {"max_output": 128_000, "prefill": False}),
        (ANTHROPIC, "claude-sonnet-4-20250514", {"max_output": 64_000, "json_schema_beside_tools": "none"}),
        (ANTHROPIC, "somebody", {"max_output": 4096, "effort": "none"}),
        (GEMINI, "gemini-2.0-flash", {"max_output": 8192, "effort": "none"}),
    ],
)
def test_the_last_rule_that_holds_decides(wire: WireFormat, model: str, expected: dict[str, Any]) -> None:
    known = capabilities.by_format(wire, model)
    assert {name: getattr(known, name) for name in expected} == expected


def test_a_block_has_the_last_word() -> None:
    said = (("vision", True), ("max_output", 99))
    provider = Provider("some", OPENAI, "http://h", None, ("deepseek-chat",), capabilities=said)
    known = capabilities.of(provider, "deepseek-chat")
    assert (known.vision, known.max_output, known.tool_limit) == (True, 99, 128)


def test_a_limit_above_the_models_own_is_capped_and_named() -> None:
    sent = told(OPENAI, model="deepseek-chat", max_tokens=16_000)
    assert (sent["max_tokens"], sent["dropped"]) == (8192, {"max_tokens"})


@pytest.mark.parametrize(
    ("model", "sent", "dropped"),
    [("gpt-5.4", None, {"reasoning_effort"}), ("gpt-5.6", "none", {"reasoning_effort"}), ("gpt-5.1", "medium", set())],
)
def test_effort_beside_tools_is_as_the_model_takes_it(model: str, sent: str | None, dropped: set[str]) -> None:
    body = told(OPENAI, model=model, tools=(TOOL,), reasoning_effort="medium")
    assert (body.get("reasoning_effort"), body["dropped"]) == (sent, dropped)


def test_a_schema_as_a_tool_is_not_for_who_takes_no_forced_tool() -> None:
    wanted = JsonSchema("o", {"type": "object", "properties": {"n": {"type": "integer"}}})
    assert "response_format" in told(OPENAI, model="deepseek-reasoner", json_schema=wanted)
    with pytest.raises(Unsupported, match="forced tool"):
        told_by(OPENAI, "deepseek-reasoner", SchemaBy.TOOL, json_schema=wanted)


def test_an_unknown_capability_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="unknown capability sight; known are: allowed_tools, audio"):
        capabilities.checked({"sight": True})

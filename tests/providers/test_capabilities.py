"""The capability matrix: which rule holds, what a block says over it, and what goes on the wire for it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from app.domain.catalog import Provider, WireFormat
from app.errors import Unsupported
from app.providers import capabilities
from app.providers.base import ChatRequest, JsonSchema, Message
from app.providers.wire import openai
from tests.providers.calls import BY_TOOL, endpoint
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
        (OPENAI, "grok-4", {"parameters": ("temperature", "top_p", "seed"), "effort": "none"}),
        (OPENAI, "x-ai/grok-code-fast-1", {"parameters": ("temperature", "top_p", "seed"), "effort": "none"}),
        (OPENAI, "grok-3-mini", {"parameters": ("temperature", "top_p", "seed"), "efforts": ("low", "high")}),
        (OPENAI, "grok-4.3", {"effort": "reasoning_effort"}),
        (OPENAI, "grok-3", {"parameters": ("temperature", "top_p", "stop", "seed"), "effort": "none"}),
        (ANTHROPIC, "claude-3-haiku-20240307", {"max_output": 4096}),
        (ANTHROPIC, "claude-3-5-haiku-20241022", {"max_output": 8192}),
        (ANTHROPIC, "claude-3-7-sonnet-20250219", {"max_output": 64_000}),
        (ANTHROPIC, "claude-opus-4-1-20250805", {"max_output": 32_000}),
        (ANTHROPIC, "claude-opus-4-20250514", {"max_output": 32_000}),
        (ANTHROPIC, "claude-opus-4-5", {"max_output": 64_000, "effort": "output_config", "prefill": "continued"}),
        (ANTHROPIC, "claude-opus-4-6", {"max_output": 128_000, "prefill": "no"}),
        (ANTHROPIC, "claude-sonnet-4-20250514", {"max_output": 64_000, "json_schema_beside_tools": "none"}),
        (ANTHROPIC, "claude-sonnet-4-6", {"prefill": "no"}),
        (ANTHROPIC, "claude-haiku-4-5", {"prefill": "continued", "strict_tools": True}),
        (ANTHROPIC, "kimi-k2", {"prefill": "taken", "strict_tools": False}),
        (OPENAI, "deepseek-ai/DeepSeek-VL2", {"vision": True}),
        (OPENAI, "gemini-3-pro-preview", {"signed_calls": True}),
        (OPENAI, "google/gemini-3-pro-preview", {"signed_calls": False}),
        (GEMINI, "gemini-2.5-flash", {"signed_calls": False}),
        (OPENAI, "gpt-4.1-mini", {"n": True, "logprobs": True, "functions": True, "verbosity": False}),
        (OPENAI, "gpt-5-mini", {"n": True, "logprobs": False, "functions": False, "verbosity": True}),
        (OPENAI, "openai/gpt-oss-120b", {"n": False, "verbosity": False}),
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


def test_a_block_says_otherwise_of_some_of_its_models() -> None:
    of_models = (("*-vision", (("vision", True),)), ("b-*", (("n", True), ("vision", False))))
    models = ("a", "a-vision", "b-vision")
    provider = Provider("some", OPENAI, "http://h", None, models, capabilities=(("vision", False),))
    provider = replace(provider, model_capabilities=of_models)
    known = {model: capabilities.of(provider, model) for model in models}
    assert {model: (can.vision, can.n) for model, can in known.items()} == {
        "a": (False, False),
        "a-vision": (True, False),
        "b-vision": (False, True),  # the later one over the earlier one
    }


@pytest.mark.parametrize(
    ("base_url", "model", "prefill", "url"),
    [
        ("https://api.deepseek.com", "deepseek-chat", "continued", "https://api.deepseek.com/beta"),
        ("https://api.deepseek.com/v1", "deepseek-chat", "continued", "https://api.deepseek.com/beta"),
        ("https://api.deepseek.com", "deepseek-reasoner", "taken", "https://api.deepseek.com"),
        ("https://deepseek.example", "deepseek-chat", "taken", "https://deepseek.example"),
        ("https://api.mistral.ai/v1", "mistral-small-latest", "continued", "https://api.mistral.ai/v1"),
        ("http://h/v1", "mistral-small", "taken", "http://h/v1"),
    ],
)
def test_the_beginning_of_an_answer_goes_where_it_is_documented(
    base_url: str, model: str, prefill: str, url: str
) -> None:
    at = endpoint(base_url)
    assert capabilities.of(at.provider, model).prefill == prefill
    messages = (Message("user", "Count"), Message("assistant", "one, two"))
    outgoing = openai.build(at, model, ChatRequest(messages), True)
    assert outgoing.url == f"{url}/chat/completions"
    marked = "deepseek.com/beta" in url or model.startswith("mistral")
    assert json.loads(outgoing.body)["messages"][-1].get("prefix", False) is marked
    asked = openai.build(at, model, ChatRequest(messages[:1]), True)
    assert asked.url == f"{base_url}/chat/completions"


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
        told_by(OPENAI, "deepseek-reasoner", BY_TOOL, json_schema=wanted)


def test_an_unknown_capability_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="unknown capability sight; known are: allowed_tools, audio"):
        capabilities.checked({"sight": True})

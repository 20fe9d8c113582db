"""Fields that change nothing of the answer, and names: they go to who has them, as far as they are taken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.api.openai import conversation, functions
from app.domain.catalog import Provider, WireFormat
from app.providers.base import ChatRequest, Endpoint, Message
from app.providers.left_out import left_out
from app.providers.wire.formats import FORMATS

PREDICTED = {"type": "content", "content": "x = 1"}
HINTS: dict[str, Any] = {
    "user": "anna",
    "safety_identifier": "a1",
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "metadata": {"a": "b"},
    "prediction": PREDICTED,
}
TOOLS = ({"type": "function", "function": {"name": "f"}},)


def sent(url: str, model: str, wire: WireFormat = WireFormat.OPENAI, **fields: Any) -> tuple[set[str], set[str]]:
    """Which of them are in the body, and which are named as left out."""
    target = Endpoint(Provider(name="a", format=wire, base_url=url, key_env="K", models=(model,)), "key")
    request = ChatRequest((Message("user", "hi"),), hints=HINTS, **fields)
    outgoing = FORMATS[wire].build(target, model, request, False)
    body = json.loads(outgoing.body)
    assert all(body[name] == HINTS[name] for name in HINTS if name in body)
    return {name for name in HINTS if name in body}, set(left_out(request, outgoing, wire)) & set(HINTS)


OPENAI = "https://api.openai.com/v1"
ALWAYS = {"user", "safety_identifier", "prompt_cache_key"}


@pytest.mark.parametrize(
    ("url", "model", "fields", "expected", "named"),
    [
        (OPENAI, "gpt-4o", {}, ALWAYS | {"prediction"}, set()),
        (OPENAI, "gpt-4.1", {}, ALWAYS | {"prediction", "prompt_cache_retention"}, set()),
        (OPENAI, "gpt-5.1", {}, ALWAYS | {"prompt_cache_retention"}, {"prediction"}),
        (OPENAI, "gpt-4o", {"tools": TOOLS}, ALWAYS, {"prediction"}),
        (OPENAI, "gpt-4o", {"extra": {"store": True}}, ALWAYS | {"prediction", "metadata"}, set()),
        ("https://openrouter.ai/api/v1", "openai/gpt-4o", {}, {"user"}, {"prediction"}),
        ("https://api.groq.com/openai/v1", "llama-3.3-70b", {}, {"user"}, {"prediction"}),
        ("https://api.x.ai/v1", "grok-4", {}, {"user"}, {"prediction"}),
        ("https://api.deepseek.com", "deepseek-chat", {}, set(), {"prediction"}),
        ("https://api.mistral.ai/v1", "mistral-large", {"extra": {"store": True}}, set(), {"prediction", "metadata"}),
    ],
)
def test_hints_go_to_who_has_them(
    url: str, model: str, fields: dict[str, Any], expected: set[str], named: set[str]
) -> None:
    assert sent(url, model, **fields) == (expected, named)


@pytest.mark.parametrize(
    ("wire", "model"), [(WireFormat.ANTHROPIC, "claude-haiku-4-5"), (WireFormat.GEMINI, "gemini-2.5-flash")]
)
def test_other_formats_have_none_of_them(wire: WireFormat, model: str) -> None:
    assert sent("http://h", model, wire) == (set(), {"prediction"})


@pytest.mark.parametrize(
    ("url", "expected", "named"),
    [
        (OPENAI, "Ann_Müller_x", {"name"}),
        ("https://x.openai.azure.com", "Ann_M_ller_x", {"name"}),
        ("https://api.deepseek.com", "Ann Müller <x>", set()),
        ("https://api.groq.com/openai/v1", None, {"name"}),
    ],
)
def test_name_goes_as_far_as_it_is_taken(url: str, expected: str | None, named: set[str]) -> None:
    target = Endpoint(Provider(name="a", format=WireFormat.OPENAI, base_url=url, key_env="K", models=("m",)), "key")
    request = ChatRequest((Message("user", "hi", name="Ann Müller <x>"),))
    outgoing = FORMATS[WireFormat.OPENAI].build(target, "m", request, False)
    assert json.loads(outgoing.body)["messages"][0].get("name") == expected
    assert set(outgoing.dropped) == named


@pytest.mark.parametrize(("name", "expected"), [("ann-1", "ann-1"), ("<>", None), ("a" * 70, "a" * 64)])
def test_name_of_nothing_that_is_taken_is_left_out(name: str, expected: str | None) -> None:
    target = Endpoint(Provider(name="a", format=WireFormat.OPENAI, base_url=OPENAI, key_env="K", models=("m",)), "key")
    outgoing = FORMATS[WireFormat.OPENAI].build(target, "m", ChatRequest((Message("user", "hi", name=name),)), False)
    assert json.loads(outgoing.body)["messages"][0].get("name") == expected
    assert outgoing.dropped == (() if name == expected else ("name",))


def test_earlier_call_of_a_function_is_carried_and_not_named() -> None:
    call = {"name": "f", "arguments": "{}"}
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "function_call": call},
        {"role": "function", "name": "f", "content": "ok"},
    ]
    messages = conversation.read(functions.as_tools({"messages": turns})["messages"])
    for wire, model in ((WireFormat.OPENAI, "gpt-4o"), (WireFormat.ANTHROPIC, "c"), (WireFormat.GEMINI, "g")):
        target = Endpoint(Provider(name="a", format=wire, base_url="http://h", key_env="K", models=(model,)), "key")
        request = ChatRequest(messages)
        outgoing = FORMATS[wire].build(target, model, request, False)
        assert left_out(request, outgoing, wire) == ()
        assert b"ok" in outgoing.body

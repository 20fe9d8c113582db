"""The check that every test's bodies pass is worth something: it finds what is wrong, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.types import TextBlock

from app.lab.refusals.rule import Kind
from tests.lab.refusals import chat_cases, claude_cases, gemini_cases
from tests.support import request_types
from tests.support.request_types import faults
from tests.support.strict import objections

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
GENERATE = "/v1beta/models/gemini-2.5-flash:generateContent"


def chat(model: str = "gpt-4.1-mini", **body: Any) -> dict[str, Any]:
    return {"model": model, **chat_cases.BODY, **body}


def messages(**body: Any) -> dict[str, Any]:
    return {"model": "claude-haiku-4-5", **claude_cases.BODY, **body}


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        (CHAT, chat(messages="hi"), "messages"),
        (CHAT, chat(thinking={}), "thinking"),
        (CHAT, chat(**chat_cases.said({"role": "user", "content": [{**chat_cases.TEXT, "id": 1}]})), "id"),
        (CHAT, chat(**chat_cases.said(chat_cases.answers("a", reasoning_content="hm"))), "reasoning_content"),
        (CHAT, chat(model="llama3.2", **chat_cases.said({"role": "user", "content": {}})), "content"),
        (CHAT, chat(stream=True, tools=[{"type": "function"}]), "function"),
        (MESSAGES, {"model": "claude-haiku-4-5", "messages": []}, "max_tokens"),
        (MESSAGES, messages(seed=1), "seed"),
        (MESSAGES, messages(**claude_cases.said(claude_cases.turn("user", {**claude_cases.TEXT, "id": 1}))), "id"),
        (MESSAGES, messages(**claude_cases.said(claude_cases.turn("user", claude_cases.image("image/jpg")))), "media"),
        (GENERATE, {"contents": [{"role": "user", "parts": [{"text": "a", "cache_control": {}}]}]}, "cache_control"),
        (GENERATE, {**gemini_cases.BODY, "generationConfig": {"max_tokens": 1}}, "max_tokens"),
        (GENERATE, {"model": "x", **gemini_cases.BODY}, "model"),
    ],
)
def test_a_wrong_body_is_found(path: str, body: dict[str, Any], place: str) -> None:
    found = faults(path, body)
    assert found
    assert any(place in each for each in found)


def test_it_is_found_too_where_the_sdk_has_read_answers_before() -> None:
    block = {**claude_cases.TEXT, "id": 1}
    TextBlock.model_rebuild(force=True)
    assert TextBlock.model_validate(block).text
    request_types._validator.cache_clear()
    found = faults(MESSAGES, messages(**claude_cases.said(claude_cases.turn("user", block))))
    assert any("id" in each for each in found)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, chat()),
        (CHAT, chat(**chat_cases.LOOP, tools=[chat_cases.tool()], tool_choice="auto", stream=True)),
        # others of the format have keys of their own
        (CHAT, chat(model="deepseek-reasoner", thinking={}, messages=[chat_cases.answers("a", reasoning_content="b")])),
        (MESSAGES, messages(temperature=0.5, stream=True, **claude_cases.offered())),
        (MESSAGES, messages(**claude_cases.LOOP, system=[claude_cases.MARKED])),
        (GENERATE, {**gemini_cases.LOOP, **gemini_cases.offered(), "generationConfig": {"maxOutputTokens": 5}}),
        ("/v1/models", {"anything": 1}),
    ],
)
def test_a_right_body_is_left_in_peace(path: str, body: dict[str, Any]) -> None:
    assert faults(path, body) == []


def test_a_strict_server_can_be_asked_without_one() -> None:
    said = objections(
        Kind.MISTRAL, f"https://h{CHAT}", {}, b'{"model": "m", "seed": 1, "messages": [{"role": "user"}]}'
    )
    assert [each.split(":")[0] for each in said] == ["chat-null-content", "mistral-keys", "sdk"]
    nothing = b'{"model": "m", "messages": []}'
    assert objections(Kind.OPENAI, f"https://h{CHAT}", {}, nothing)[0].startswith("invalid_value")

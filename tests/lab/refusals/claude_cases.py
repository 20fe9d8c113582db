"""Anthropic."""

from __future__ import annotations

from typing import Any

from app.lab.signatures import sign
from tests.lab.refusals.case import PNG, SCHEMA, Case

USER: Any = {"role": "user", "content": "hi"}
TEXT = {"type": "text", "text": "hi"}
MARKED = {**TEXT, "cache_control": {"type": "ephemeral"}}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": sign("hm")}
THINKS = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000}


def use(each: str = "call_1", **more: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": each, "name": "f", "input": {}, **more}


def result(each: str = "call_1") -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": each, "content": "ok"}


def turn(role: str, *blocks: Any) -> dict[str, Any]:
    return {"role": role, "content": list(blocks)}


def said(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"messages": list(messages), **more}


def offered(name: str = "f", **schema: Any) -> dict[str, Any]:
    return {"tools": [{"name": name, "input_schema": schema or SCHEMA}]}


def image(kind: str) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": PNG}}


def schema(**words: Any) -> dict[str, Any]:
    wanted = {"type": "object", "properties": {"n": {"type": "integer", **words}}}
    return {"output_config": {"format": {"type": "json_schema", "schema": {**wanted, "additionalProperties": False}}}}


LOOP = said(USER, turn("assistant", use()), turn("user", result()))
TURNS = [
    Case(
        "claude-empty-content",
        "anthropic",
        said(USER, {"role": "assistant", "content": ""}, USER),
        said(USER, {"role": "assistant", "content": ""}),
    ),
    Case("claude-empty-text", "anthropic", said(turn("user", {"type": "text", "text": ""})), said(turn("user", TEXT))),
    Case(
        "claude-blank-text",
        "anthropic",
        said(USER, turn("assistant", {"type": "text", "text": "\n\n"}, use()), turn("user", result())),
        said(USER, turn("assistant", TEXT, use()), turn("user", result())),
    ),
    Case("claude-blank-text", "anthropic", said({"role": "user", "content": " "}), said(USER)),
    Case("claude-missing-result", "anthropic", said(USER, turn("assistant", use()), USER), LOOP),
    Case(
        "claude-missing-result",
        "anthropic",
        said(USER, turn("assistant", use()), turn("user", TEXT, result())),
        said(USER, turn("assistant", use()), turn("user", result(), TEXT)),
    ),
    Case("claude-orphaned-result", "anthropic", said(turn("user", result())), LOOP),
    Case("claude-two-results", "anthropic", said(*LOOP["messages"][:2], turn("user", result(), result())), LOOP),
    Case(
        "claude-repeated-id",
        "anthropic",
        said(*LOOP["messages"], *LOOP["messages"][1:]),
        said(*LOOP["messages"], turn("assistant", use("call_2")), turn("user", result("call_2"))),
    ),
    Case(
        "claude-trailing-space",
        "anthropic",
        said(USER, {"role": "assistant", "content": "ye "}),
        said(USER, {"role": "assistant", "content": "ye"}),
    ),
    Case(
        "claude-prefill",
        "anthropic",
        said(USER, {"role": "assistant", "content": "ye"}),
        said(USER, {"role": "assistant", "content": "yes"}, USER),
        "claude-opus-4-6",
    ),
    Case(
        "claude-signature",
        "anthropic",
        said(USER, turn("assistant", {**THOUGHT, "thinking": "hum"}, TEXT), USER),
        said(USER, turn("assistant", THOUGHT, TEXT), USER),
    ),
    Case(
        "claude-signature",
        "anthropic",
        said(USER, turn("assistant", {"type": "thinking", "thinking": "hm"}, TEXT), USER),
        said(USER, turn("assistant", {"type": "redacted_thinking", "data": "x"}, TEXT), USER),
    ),
    Case(
        "claude-lost-thought",
        "anthropic",
        {**LOOP, **THINKS},
        said(USER, turn("assistant", THOUGHT, use()), turn("user", result()), **THINKS),
    ),
]
BLOCKS = [
    Case(
        "claude-block-type",
        "anthropic",
        said(turn("user", {"type": "image_url", "image_url": {"url": "x"}})),
        said(turn("user", image("image/png"))),
    ),
    Case("claude-block-keys", "anthropic", said(turn("user", {**TEXT, "id": 1})), said(turn("user", MARKED))),
    Case("claude-block-keys", "anthropic", {"system": [{**TEXT, "name": "x"}]}, {"system": [MARKED]}),
    Case(
        "claude-call-id",
        "anthropic",
        said(USER, turn("assistant", use("functions.f:0")), turn("user", result("functions.f:0"))),
        LOOP,
    ),
    Case("claude-input", "anthropic", said(USER, turn("assistant", use(input="{}")), turn("user", result())), LOOP),
    Case(
        "claude-media-type",
        "anthropic",
        said(turn("user", image("image/jpg"))),
        said(turn("user", image("image/jpeg"))),
    ),
    Case("claude-cache-marks", "anthropic", said(turn("user", *[MARKED] * 5)), said(turn("user", *[MARKED] * 4))),
]
SETTINGS = [
    Case("claude-tool-name", "anthropic", offered("a.b"), offered("a" * 128)),
    Case("claude-repeated-tool", "anthropic", {"tools": offered()["tools"] * 2}, offered()),
    Case("claude-schema-type", "anthropic", offered(properties={}), offered(type="object")),
    Case(
        "claude-schema-root",
        "anthropic",
        offered(type="object", anyOf=[{"required": ["a"]}]),
        offered(type="object", properties={"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}),
    ),
    Case("claude-two-samplers", "anthropic", {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5}),
    Case("claude-any-sampler", "anthropic", {"temperature": 0.5}, {"temperature": None}, "claude-opus-4-7"),
    Case("claude-thinking", "anthropic", {**THINKS, "temperature": 0.5}, {**THINKS, "temperature": 1}),
    Case("claude-thinking", "anthropic", {**THINKS, "max_tokens": 1024}, {**THINKS, "max_tokens": 1025}),
    Case("claude-output-limit", "anthropic", {"max_tokens": 64_001}, {"max_tokens": 64_000}),
    Case("claude-output-schema", "anthropic", schema(minimum=1), schema(enum=[1])),
    Case(
        "claude-output-schema",
        "anthropic",
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        schema(),
    ),
]
CASES = [*TURNS, *BLOCKS, *SETTINGS]
BODY = {"messages": [USER], "max_tokens": 500}

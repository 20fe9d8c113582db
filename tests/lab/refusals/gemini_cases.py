"""Gemini."""

from __future__ import annotations

from typing import Any

from tests.lab.refusals.case import PNG, SCHEMA, Case

USER: Any = {"role": "user", "parts": [{"text": "hi"}]}
SIGNED = {"thoughtSignature": "c2ln"}


def call(name: str = "f", beside: Any = None, **more: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": {}, **more}, **(beside or {})}


def response(name: str = "f", **more: Any) -> dict[str, Any]:
    return {"functionResponse": {"name": name, "response": {"output": "ok"}, **more}}


def turn(role: str, *parts: Any) -> dict[str, Any]:
    return {"role": role, "parts": list(parts)}


def said(*contents: Any, **more: Any) -> dict[str, Any]:
    return {"contents": list(contents), **more}


def offered(name: str = "f", **schema: Any) -> dict[str, Any]:
    return {"tools": [{"functionDeclarations": [{"name": name, "parameters": schema or SCHEMA}]}]}


def image(kind: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": kind, "data": PNG}}


LOOP = said(USER, turn("model", call()), turn("user", response()))
TURNS = [
    Case("gemini-no-parts", "gemini", said(turn("user")), said(USER)),
    Case("gemini-no-data", "gemini", said(turn("user", {"thought": False})), said(turn("user", {"text": ""}))),
    Case(
        "gemini-part-keys",
        "gemini",
        said(turn("user", {"text": "hi", "cache_control": {}})),
        said(turn("user", {"text": "hi", "thought": False})),
    ),
    Case(
        "gemini-part-keys", "gemini", said(USER, turn("model", call(type="function")), turn("user", response())), LOOP
    ),
    Case("gemini-orphaned-response", "gemini", said(turn("user", response())), LOOP),
    Case(
        "gemini-response-count",
        "gemini",
        said(USER, turn("model", call(), call()), turn("user", response())),
        said(USER, turn("model", call(), call()), turn("user", response(), response())),
    ),
    Case("gemini-response-count", "gemini", said(USER, turn("model", call()), USER, turn("user", response())), LOOP),
    Case(
        "gemini-call-turn",
        "gemini",
        said(USER, turn("model", {"text": "yes"}), turn("model", call()), turn("user", response())),
        said(USER, turn("model", {"text": "yes"}, call()), turn("user", response())),
    ),
    Case("gemini-objects", "gemini", said(USER, turn("model", call()), turn("user", response(response="ok"))), LOOP),
    Case("gemini-objects", "gemini", said(USER, turn("model", call(args="{}")), turn("user", response())), LOOP),
    Case(
        "gemini-signature",
        "gemini",
        LOOP,
        said(USER, turn("model", call(beside=SIGNED), call()), turn("user", response(), response())),
        "gemini-3-pro-preview",
    ),
    Case(
        "gemini-signature",
        "gemini",
        said(USER, turn("model", call(beside=SIGNED)), turn("user", response()), *LOOP["contents"][1:]),
        said(*LOOP["contents"], turn("model", {"text": "ok"}), USER),  # a turn that is over
        "gemini-3-pro-preview",
    ),
    Case(
        "gemini-lost-id",
        "gemini",
        said(USER, turn("model", call(id="c1")), turn("user", response())),
        said(USER, turn("model", call(id="c1")), turn("user", response(id="c1"))),
    ),
    Case("gemini-media-type", "gemini", said(turn("user", image("image/PNG"))), said(turn("user", image("image/png")))),
]
ENUM = {"type": "integer", "enum": [1, 2]}
SETTINGS = [
    Case("gemini-function-name", "gemini", offered("1st"), offered("_1st.a:b-c")),
    Case(
        "gemini-repeated-function",
        "gemini",
        {"tools": offered()["tools"] * 2},
        {"tools": [*offered()["tools"], *offered("g")["tools"]]},
    ),
    Case(
        "gemini-schema-words",
        "gemini",
        offered(type="object", properties={"a": {"type": "object", "additionalProperties": False}}),
        {
            "tools": [
                {
                    "functionDeclarations": [
                        {"name": "f", "parametersJsonSchema": {"type": "object", "additionalProperties": False}}
                    ]
                }
            ]
        },
    ),
    Case(
        "gemini-schema-types",
        "gemini",
        offered(type="object", properties={"a": {"type": ["string", "null"]}}),
        offered(type="object", properties={"type": {"type": "string", "nullable": True}}),
    ),
    Case(
        "gemini-schema-enums",
        "gemini",
        offered(type="object", properties={"a": ENUM}),
        offered(type="object", properties={"a": {"type": "string", "enum": ["1", "2"]}}),
    ),
    Case(
        "gemini-array-items",
        "gemini",
        offered(type="object", properties={"a": {"type": "array", "items": {"type": "array"}}}),
        offered(type="object", properties={"a": {"type": "array", "items": {"type": "string"}}}),
    ),
    Case(
        "gemini-enum-type",
        "gemini",
        offered(type="object", properties={"a": {"enum": ["1", "2"]}}),
        offered(type="object", properties={"a": {"type": "STRING", "enum": ["1", "2"]}}),
    ),
    Case("gemini-empty-object", "gemini", offered(type="object", properties={}), offered(**SCHEMA)),
    Case(
        "gemini-string-format",
        "gemini",
        offered(type="object", properties={"a": {"type": "string", "format": "uri"}}),
        offered(type="object", properties={"a": {"type": "string", "format": "date-time"}}),
    ),
    Case(
        "gemini-json-beside-tools",
        "gemini",
        {**offered(), "generationConfig": {"responseMimeType": "application/json"}},
        {"generationConfig": {"responseMimeType": "application/json"}},
    ),
    Case(
        "gemini-penalties",
        "gemini",
        {"generationConfig": {"presencePenalty": 0.5}},
        {"generationConfig": {"temperature": 0.5}},
    ),
    Case(
        "gemini-output-limit",
        "gemini",
        {"generationConfig": {"maxOutputTokens": 65_537}},
        {"generationConfig": {"maxOutputTokens": 65_536}},
    ),
]
CASES = [*TURNS, *SETTINGS]
BODY = {"contents": [USER]}

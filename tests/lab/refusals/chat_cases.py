"""Servers of the OpenAI format."""

from __future__ import annotations

from typing import Any

from tests.lab.refusals.case import PNG, SCHEMA, Case

USER: Any = {"role": "user", "content": "hi"}
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
TEXT = {"type": "text", "text": "hi"}


def tool(name: str = "f", **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": SCHEMA}, **more}


def call(each: str = "call_1", name: str = "f", arguments: Any = "{}", **more: Any) -> dict[str, Any]:
    return {"id": each, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def asks(*calls: dict[str, Any], content: Any = None, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": list(calls), **more}


def result(each: str = "call_1", content: Any = "ok", **more: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": each, "content": content, **more}


def said(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"messages": list(messages), **more}


def answers(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


CACHED = {"type": "object", "properties": {"cache_control": {}}}
LOOP = said(USER, asks(call()), result())
TURNS = [
    Case("chat-empty-content", "compatible", said(USER, answers([]), USER), said(USER, answers([TEXT]), USER)),
    Case("chat-null-content", "compatible", said(USER, answers(None), USER), LOOP),
    Case("chat-null-content", "openai", said({"role": "user"}), said(USER, answers(None, refusal="no"), USER)),
    Case("chat-null-content", "deepseek", said(USER, asks(call()), result(content=None)), LOOP),
    Case("chat-empty-tool-calls", "compatible", said(USER, asks(content="yes"), USER), LOOP),
    Case("chat-arguments", "compatible", said(USER, asks(call(arguments={"a": 1})), result()), LOOP),
    Case("chat-orphaned-result", "compatible", said(USER, result()), LOOP),
    Case(
        "chat-orphaned-result",
        "openai",
        said(USER, asks(call()), result(), result()),
        said(USER, asks(call(), call("call_2")), result("call_2"), result()),
    ),
    Case("chat-missing-result", "compatible", said(USER, asks(call()), USER), LOOP),
    Case(
        "chat-missing-result",
        "openai",
        said(USER, asks(call(), call("call_2")), result(), USER, result("call_2")),
        said(USER, asks(call(), call("call_2")), result(), result("call_2"), USER),
    ),
    Case(
        "chat-repeated-call-id",
        "compatible",
        said(USER, asks(call(), call()), result()),
        said(*LOOP["messages"], asks(call()), result()),  # in another turn an id may come again
    ),
    Case(
        "chat-image-elsewhere",
        "compatible",
        said(USER, asks(call()), result(content=[IMAGE])),
        said({"role": "user", "content": [TEXT, IMAGE]}),
    ),
]
FIELDS = [
    Case("chat-tool-name", "compatible", {"tools": [tool("a.b")]}, {"tools": [tool("a_b-1")]}),
    Case("chat-tool-name", "openai", said(USER, asks(call(name="a b")), result()), LOOP),
    Case("chat-tool-name", "groq", {"tools": [tool("a" * 65)]}, {"tools": [tool("a" * 64)]}),
    Case("chat-repeated-tool", "compatible", {"tools": [tool(), tool()]}, {"tools": [tool(), tool("g")]}),
    Case(
        "chat-part-type",
        "openai",
        said({"role": "user", "content": [{"type": "thinking", "thinking": "hm"}]}),
        said({"role": "user", "content": [TEXT]}),
    ),
    Case(
        "chat-part-keys",
        "openai",
        said({"role": "user", "content": [{**TEXT, "id": 1}]}),
        said({"role": "user", "content": [TEXT]}),
    ),
    Case(
        "chat-part-keys",
        "groq",
        said({"role": "user", "content": [{**TEXT, "cache_control": {"type": "ephemeral"}}]}),
        said({"role": "user", "content": [TEXT]}),
    ),
    Case(
        "openai-cache-control",
        "openai",
        said({"role": "user", "content": [{**TEXT, "cache_control": {"type": "ephemeral"}}]}),
        # a parameter of a tool may be called so
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": CACHED}}]},
    ),
    Case("openai-cache-control", "openai", {"tools": [tool(cache_control={"type": "ephemeral"})]}, {"tools": [tool()]}),
    Case(
        "openai-message-keys",
        "openai",
        said(USER, answers("yes", reasoning_content="hm"), USER),
        said(USER, answers("yes", name="bot"), USER),
    ),
    Case("openai-keys", "openai", {"thinking": {"type": "disabled"}}, {"verbosity": "low"}),
    Case(
        "groq-message-keys",
        "groq",
        said(USER, answers("yes", reasoning_content="hm"), USER),
        said(USER, answers("yes", reasoning="hm"), USER),
    ),
    Case("groq-keys", "groq", {"thinking": {"type": "disabled"}}, {"reasoning_format": "hidden"}),
    Case("mistral-keys", "mistral", {"seed": 1}, {"random_seed": 1}),
    Case(
        "mistral-keys",
        "mistral",
        said({**USER, "name": "anna"}),
        said(USER, answers("ye", prefix=True)),
    ),
]
OPENAI = [
    Case(
        "openai-call-id-length",
        "openai",
        said(USER, asks(call("c" * 41)), result("c" * 41)),
        said(USER, asks(call("c" * 40)), result("c" * 40)),
    ),
    Case(
        "chat-tool-count",
        "openai",
        {"tools": [tool(f"f{n}") for n in range(129)]},
        {"tools": [tool(f"f{n}") for n in range(128)]},
    ),
    Case("openai-no-tools", "openai", {"tools": []}, {"tools": [tool()]}),
    Case(
        "openai-tool-settings",
        "openai",
        {"parallel_tool_calls": False},
        {"parallel_tool_calls": False, "tools": [tool()]},
    ),
    Case("openai-stop-count", "openai", {"stop": list("abcde")}, {"stop": list("abcd")}),
    Case("openai-max-tokens", "openai", {"max_tokens": 9}, {"max_completion_tokens": 9}, "gpt-5-mini"),
    Case("openai-output-limit", "openai", {"max_tokens": 32_769}, {"max_tokens": 32_768}),
    Case("openai-samplers", "openai", {"temperature": 0.7}, {"temperature": 1}, "gpt-5-mini"),
    Case("openai-samplers", "openai", {"top_p": 0.9}, {"seed": 1}, "o3"),
    Case(
        "openai-samplers-beside-effort",
        "openai",
        {"temperature": 0.7, "reasoning_effort": "low"},
        {"temperature": 0.7, "reasoning_effort": "none"},
        "gpt-5.4",
    ),
    Case("openai-stop", "openai", {"stop": "x"}, {"stop": None}, "o3"),
    Case("openai-search-samplers", "openai", {"temperature": 1}, {"max_tokens": 9}, "gpt-4o-search-preview"),
    Case("openai-no-effort", "openai", {"reasoning_effort": "low"}, {"reasoning_effort": None}),
    Case(
        "openai-effort-beside-tools",
        "openai",
        {"reasoning_effort": "medium", "tools": [tool()]},
        {"reasoning_effort": "medium"},
        "gpt-5.4",
    ),
    Case(
        "openai-tools-without-none",
        "openai",
        {"tools": [tool()]},
        {"tools": [tool()], "reasoning_effort": "none"},
        "gpt-5.6",
    ),
    Case(
        "chat-word-json",
        "openai",
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_object"}, "messages": [{"role": "user", "content": "as JSON"}]},
    ),
    Case("openai-unverified", "openai", {"stream": True}, {"stream": False}, "gpt-5-mini"),
]
ARRAY = {"type": "object", "properties": {"a": {"type": "array"}}}
ITEMS = {"type": "object", "properties": {"a": {"type": "array", "items": {}}}}


def schema(**words: Any) -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": {"name": "f", "parameters": words}}]}


SCHEMAS = [
    Case("openai-schema-root", "openai", schema(type="object", anyOf=[]), schema(type="object")),
    Case("openai-schema-root", "openai", schema(properties={}), schema(type="object", properties={})),
    Case("openai-array-items", "openai", schema(**ARRAY), schema(**ITEMS)),
    Case(
        "openai-array-items",
        "openai",
        schema(type="object", properties={"a": {"type": ["string", "array"]}}),
        schema(type="object", properties={"type": {"type": "string", "const": "array"}}),
    ),
    Case("gemini-array-items", "gemini-openai", schema(**ARRAY), schema(**ITEMS)),
]
NINE = [USER, asks(call("aB3xK9mP2")), result("aB3xK9mP2")]
SYSTEM = {"role": "system", "content": "Be brief."}
THOUGHT = {"reasoning_content": "I need the date."}
VENDORS = [
    Case(
        "deepseek-developer",
        "deepseek",
        said({"role": "developer", "content": "Be brief."}, USER),
        said({"role": "system", "content": "Be brief."}, USER),
    ),
    Case(
        "deepseek-parts",
        "deepseek",
        said({"role": "user", "content": [TEXT, IMAGE]}),
        said({"role": "user", "content": [TEXT]}),
    ),
    Case("deepseek-max-tokens", "deepseek", {"max_tokens": 8193}, {"max_tokens": 8192}),
    Case("deepseek-reasoning", "deepseek", LOOP, said(USER, asks(call(), **THOUGHT), result()), "deepseek-reasoner"),
    Case(
        "deepseek-reasoning",
        "deepseek",
        LOOP,
        said(*LOOP["messages"], answers("ok"), USER),  # an exchange that is over
        "deepseek-v4-flash",
    ),
    Case(
        "deepseek-forced-tool",
        "deepseek",
        {"tools": [tool()], "tool_choice": "required"},
        {"tools": [tool()], "tool_choice": "required", "thinking": {"type": "disabled"}},
        "deepseek-v4-flash",
    ),
    Case(
        "deepseek-json-schema",
        "deepseek",
        {"response_format": {"type": "json_schema", "json_schema": {"name": "o", "schema": SCHEMA}}},
        {"response_format": {"type": "text"}},
    ),
    Case("mistral-call-id", "mistral", LOOP, said(USER, asks(call("aB3xK9mP2")), result("aB3xK9mP2"))),
    Case("mistral-last-role", "mistral", said(USER, answers("ye")), said(USER, answers("yes"), USER)),
    Case("mistral-role-order", "mistral", said(*NINE, USER), said(*NINE, answers("ok"), USER)),
    Case("mistral-role-order", "mistral", said(*NINE, SYSTEM, answers("ok"), USER), said(SYSTEM, USER, SYSTEM, USER)),
    Case("mistral-role-order", "mistral", said(USER, answers("ok"), SYSTEM, USER), said(USER, answers("ok"), USER)),
    Case("groq-fields", "groq", {"logprobs": True}, {"logprobs": False}),
    Case("groq-fields", "groq", {"logit_bias": {"1": 1}}, {"temperature": 0}),
    Case("groq-fields", "groq", {"n": 2}, {"n": 1}),
    Case("groq-fields", "groq", said({**USER, "name": "anna"}), said(USER)),
    Case("xai-effort", "xai", {"reasoning_effort": "low"}, {}),
    Case("xai-effort", "xai", {"reasoning_effort": "low"}, {"temperature": 0.5}, "grok-4.20-0309-non-reasoning"),
    Case("xai-penalties", "xai", {"presence_penalty": 0}, {"reasoning_effort": "low"}, "grok-4.3"),
    Case("kimi-temperature", "kimi", {"temperature": 0.7}, {"temperature": 1}, "kimi-k2.5"),
    Case(
        "kimi-temperature",
        "kimi",
        {"temperature": 1, "thinking": {"type": "disabled"}},
        {"temperature": 0.6, "thinking": {"type": "disabled"}},
        "kimi-k2.6",
    ),
    Case("kimi-empty-answer", "kimi", said(USER, answers(""), USER), said(USER, asks(call(), content=""), result())),
    Case(
        "groq-lists",
        "groq",
        said({"role": "system", "content": [TEXT]}, USER),
        said({"role": "system", "content": "hi"}, {"role": "user", "content": [TEXT]}),
    ),
    Case(
        "gemini-openai-signature",
        "gemini-openai",
        LOOP,
        said(
            USER,
            asks(call(extra_content={"google": {"thought_signature": "c2ln"}}), call("call_2")),
            result(),
            result("call_2"),
        ),
        "gemini-3-pro-preview",
    ),
]
CASES = [*TURNS, *FIELDS, *OPENAI, *VENDORS, *SCHEMAS]
BODY = {"messages": [USER]}

"""What the real APIs refuse of a history, documented or reported: each rule a sentence, told where a body breaks it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

#: what only one vendor understands
FOREIGN = ("thinking_blocks", "reasoning_details", "extra_content", "reasoning_content", "reasoning", "cache_control")
PART_KEYS = {
    "text": {"type", "text"},
    "image_url": {"type", "image_url"},
    "input_audio": {"type", "input_audio"},
    "file": {"type", "file"},
}
IMAGES = {"image/jpeg", "image/png", "image/gif", "image/webp"}
BLOCK_KEYS = {
    "text": {"type", "text", "cache_control"},
    "image": {"type", "source", "cache_control"},
    "document": {"type", "source", "title", "cache_control"},
    "tool_use": {"type", "id", "name", "input", "cache_control"},
    "tool_result": {"type", "tool_use_id", "content", "cache_control"},
    "thinking": {"type", "thinking", "signature"},
    "redacted_thinking": {"type", "data"},
}


def openai(body: Mapping[str, Any], vendor: str) -> list[str]:
    """`vendor`: openai, deepseek, mistral, groq, google; anything else is held to the rules of all."""
    turns = body["messages"]
    order = [*_openai_order(turns), *(_mistral_order(turns) if vendor == "mistral" else ())]
    return [*_openai_turns(turns, vendor), *order, *_openai_tools(body, vendor)]


def _mistral_order(turns: list[dict[str, Any]]) -> Iterator[str]:
    for before, turn in pairwise(turns):
        if turn["role"] in ("user", "system") and before["role"] == "tool":
            yield f"a {turn['role']} behind a tool"
        if turn["role"] == "system" and before["role"] == "assistant":
            yield "a system behind an assistant"


def _openai_turns(turns: list[dict[str, Any]], vendor: str) -> Iterator[str]:
    if not turns:
        yield "no messages"
    if vendor == "mistral" and turns and turns[-1]["role"] not in ("user", "tool") and not turns[-1].get("prefix"):
        yield "a last role that is neither the user's nor a tool's"
    for turn in turns:
        role, content = turn["role"], turn.get("content")
        roles = {"system", "user", "assistant", "tool"} | ({"developer"} if vendor == "openai" else set())
        if role not in roles:
            yield f"role {role}"
        if content == []:
            yield "content []"
        if content is None and not turn.get("tool_calls") and not turn.get("refusal"):
            yield "content null"
        if isinstance(content, list):
            yield from _openai_parts(role, content, vendor)
        if turn.get("tool_calls") == []:
            yield "tool_calls []"
        if role == "assistant" and not turn.get("tool_calls") and not turn.get("refusal") and not str(content).strip():
            yield "an assistant who says nothing"
        yield from _openai_calls(turn.get("tool_calls") or [], vendor)
        yield from _foreign(turn, vendor)


def _foreign(turn: Mapping[str, Any], vendor: str) -> Iterator[str]:
    taken = {"deepseek": {"reasoning_content"}, "groq": {"reasoning"}, "google": {"extra_content"}}
    if vendor in ("openai", "deepseek", "groq", "google", "mistral"):
        for name in FOREIGN:
            if name in turn and name not in taken.get(vendor, ()):
                yield f"unknown field {name}"
    if vendor in ("mistral", "groq") and "name" in turn:
        yield "unknown field name"


def _openai_parts(role: str, parts: list[dict[str, Any]], vendor: str) -> Iterator[str]:
    kinds = {part["type"] for part in parts}
    if role == "tool" and kinds != {"text"}:
        yield "an image in a tool message"
    if role in ("system", "developer", "assistant"):
        yield f"a list for {role}"
    if vendor == "deepseek" and "image_url" in kinds:
        yield "an image for DeepSeek"
    for part in parts:
        if set(part) - PART_KEYS.get(part["type"], set()):
            yield f"unknown key in a part: {sorted(part)}"
        url = part.get("image_url", {}).get("url", "") if part["type"] == "image_url" else ""
        if url.startswith("data:") and not re.match(r"data:[a-z]+/[a-z.+-]+;base64,", url):
            yield f"image type {url[:40]}"


def _openai_calls(calls: list[dict[str, Any]], vendor: str) -> Iterator[str]:
    ids = [call["id"] for call in calls]
    if len(set(ids)) < len(ids):
        yield "an id twice in a turn"
    for call in calls:
        if not isinstance(call["function"]["arguments"], str):
            yield "arguments that are no text"
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", call["function"]["name"]):
            yield f"name {call['function']['name']!r}"
        if vendor == "openai" and len(call["id"]) > 40:
            yield "an id beyond 40 characters"
        if vendor == "mistral" and not re.fullmatch(r"[a-zA-Z0-9]{9}", call["id"]):
            yield f"id {call['id']!r} for Mistral"


def _openai_order(turns: list[dict[str, Any]]) -> Iterator[str]:
    waiting: list[str] = []
    for turn in turns:
        if turn["role"] == "tool":
            if turn["tool_call_id"] not in waiting:
                yield "a result without a call right before it"
            else:
                waiting.remove(turn["tool_call_id"])
            continue
        if waiting:
            yield "a call without a result right behind it"
        waiting = [call["id"] for call in turn.get("tool_calls") or []]
    if waiting:
        yield "a last call without a result"


def _openai_tools(body: Mapping[str, Any], vendor: str) -> Iterator[str]:
    names = [tool["function"]["name"] for tool in body.get("tools", [])]
    if len(set(names)) < len(names):
        yield "a tool twice"
    for tool in body.get("tools", []):
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", tool["function"]["name"]):
            yield f"tool name {tool['function']['name']!r}"
        if "cache_control" in tool or "cache_control" in tool["function"]:
            yield "cache_control on a tool"
        schema = tool["function"].get("parameters")
        if schema is not None and schema.get("type") != "object":
            yield "a tool's schema without type: object"
        if vendor == "openai" and schema and {"anyOf", "oneOf", "allOf"} & set(schema):
            yield "alternatives at the root of a tool's schema"


def anthropic(body: Mapping[str, Any], *, takes_prefill: bool = True) -> list[str]:
    turns = body["messages"]
    return [
        *_claude_turns(turns, takes_prefill),
        *_claude_order(turns),
        *_claude_tools(body.get("tools", [])),
        *_claude_marks(body),
    ]


def _claude_turns(turns: list[dict[str, Any]], takes_prefill: bool) -> Iterator[str]:
    if not turns:
        yield "no messages"
        return
    if turns[0]["role"] != "user":
        yield "the assistant is the first"
    seen: set[str] = set()
    for before, turn in zip([None, *turns], turns, strict=False):
        if before is not None and before["role"] == turn["role"]:
            yield "a role twice in a row"
        if turn["role"] not in ("user", "assistant"):
            yield f"role {turn['role']}"
        if not turn["content"]:
            yield "empty content"
        for block in turn["content"]:
            yield from _claude_block(block, seen)
    yield from _claude_end(turns[-1], takes_prefill)


def _claude_end(last: dict[str, Any], takes_prefill: bool) -> Iterator[str]:
    if last["role"] == "assistant":
        if not takes_prefill:
            yield "a prefill"
        if last["content"][-1]["type"] == "text" and last["content"][-1]["text"][-1:].isspace():
            yield "a last word that ends in white space"


def _claude_block(block: dict[str, Any], seen: set[str]) -> Iterator[str]:
    kind = block["type"]
    if set(block) - BLOCK_KEYS[kind]:
        yield f"unknown key in a block: {sorted(block)}"
    if kind == "text" and not block["text"].strip():
        yield "a blank text"
    if kind == "thinking" and not block["signature"]:
        yield "a thought without a signature"
    if kind == "image" and block["source"].get("media_type", "image/png") not in IMAGES:
        yield f"image type {block['source']['media_type']}"
    if kind == "tool_use":
        yield from _claude_use(block, seen)
    if kind == "tool_result":
        for each in block.get("content", []):
            yield from _claude_block(each, seen)


def _claude_use(block: dict[str, Any], seen: set[str]) -> Iterator[str]:
    if not re.fullmatch(r"[a-zA-Z0-9_-]+", block["id"]) or block["id"] in seen:
        yield f"id {block['id']!r}"
    seen.add(block["id"])
    if not isinstance(block["input"], dict):
        yield "input that is no object"
    if not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", block["name"]):
        yield f"name {block['name']!r}"


def _claude_order(turns: list[dict[str, Any]]) -> Iterator[str]:
    for turn, after in zip(turns, [*turns[1:], None], strict=True):
        calls = [block["id"] for block in turn["content"] if block["type"] == "tool_use"]
        kinds = [block["type"] for block in after["content"]] if after else []
        results = (
            [block["tool_use_id"] for block in after["content"] if block["type"] == "tool_result"] if after else []
        )
        if sorted(calls) != sorted(results):
            yield "calls and the results in the next turn differ"
        if kinds[: len(results)] != ["tool_result"] * len(results):
            yield "results behind other blocks"
        thoughts = [block["type"] in ("thinking", "redacted_thinking") for block in turn["content"]]
        if True in thoughts and not thoughts[0]:
            yield "a thought that is not the first"


def _claude_tools(tools: list[dict[str, Any]]) -> Iterator[str]:
    names = [tool["name"] for tool in tools]
    if len(set(names)) < len(names):
        yield "a tool twice"
    for tool in tools:
        schema = tool["input_schema"]
        if schema.get("type") != "object" or {"anyOf", "oneOf", "allOf"} & set(schema):
            yield f"schema {schema}"
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", tool["name"]):
            yield f"tool name {tool['name']!r}"


def _claude_marks(body: Mapping[str, Any]) -> Iterator[str]:
    system = body.get("system", [])
    blocks = [*body.get("tools", []), *(system if isinstance(system, list) else [])]
    blocks += [block for turn in body["messages"] for block in turn["content"]]
    if sum("cache_control" in block for block in blocks) > 4:
        yield "more than four cache marks"


def gemini(body: Mapping[str, Any], *, signed: bool = False) -> list[str]:
    """`signed`: Gemini 3."""
    return [*_gemini_turns(body["contents"], signed), *_gemini_tools(body)]


def _gemini_turns(turns: list[dict[str, Any]], signed: bool) -> Iterator[str]:
    if not turns:
        yield "no contents"
    for before, turn, after in zip([None, *turns], turns, [*turns[1:], None], strict=False):
        if turn["role"] not in ("user", "model"):
            yield f"role {turn['role']}"
        if not turn["parts"]:
            yield "no parts"
        calls = [part["functionCall"] for part in turn["parts"] if "functionCall" in part]
        answers = [part["functionResponse"] for part in (after or {"parts": []})["parts"] if "functionResponse" in part]
        if [(call["id"], call["name"]) for call in calls] != [(each["id"], each["name"]) for each in answers]:
            yield "calls and the responses in the next turn differ"
        if calls and (before is None or before["role"] != "user"):
            yield "a call that is not behind a turn of the user's"
        firsts = [part for part in turn["parts"] if "functionCall" in part][:1]
        if signed and not all(part.get("thoughtSignature") for part in firsts):
            yield "a call without a signature"
        yield from _gemini_calls(calls, answers)


def _gemini_calls(calls: list[dict[str, Any]], answers: list[dict[str, Any]]) -> Iterator[str]:
    for call in calls:
        if not isinstance(call["args"], dict):
            yield "args that are no object"
        yield from _gemini_name(call["name"])
    if not all(isinstance(answer["response"], dict) for answer in answers):
        yield "a response that is no object"


def _gemini_name(name: str) -> Iterator[str]:
    if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}", name):
        yield f"name {name!r}"


def _gemini_tools(body: Mapping[str, Any]) -> Iterator[str]:
    for tool in body.get("tools", []):
        for function in tool["functionDeclarations"]:
            yield from _gemini_name(function["name"])
            if "parameters" in function:
                yield "parameters, which take little of JSON Schema"
            if function.get("parametersJsonSchema", {"type": "object"}).get("type") != "object":
                yield "a schema without type: object"

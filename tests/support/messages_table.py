"""Writes the table of Anthropic's Messages into docs/gateway.md: python -m tests.support.messages_table

Each row is a request, read as the API reads it and written for a target of each format: what the table says is where
the row's own part of it then stands, or by which name it is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flask import Flask

from app.api.anthropic import answer, request
from app.api.openai.models import Chosen
from app.domain.catalog import Provider, WireFormat
from app.errors import BadRequest
from app.providers.base import ChatRequest, Endpoint
from app.providers.exchange import left_out
from app.providers.wire.content import not_in_words_of
from app.providers.wire.formats import FORMATS

PAGE = Path(__file__).parents[2] / "docs" / "gateway.md"
BEGIN, END = "<!-- messages: .venv/bin/python -m tests.support.messages_table -->\n", "<!-- /messages -->"
MODELS = {WireFormat.ANTHROPIC: "claude-opus-4-6", WireFormat.OPENAI: "gpt-4.1", WireFormat.GEMINI: "gemini-2.5-flash"}
#: for what only those know that think
THINKER = "gpt-5.4"
_MARK = {"type": "ephemeral", "ttl": "1h"}
_USER = {"role": "user", "content": "hi"}
_TOOL = {"name": "f", "description": "does it at once", "input_schema": {"type": "object", "properties": {}}}
_CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"said": "an argument of the call"}}
_SCHEMA = {
    "type": "object",
    "description": "the whole of it",
    "properties": {},
    "required": [],
    "additionalProperties": False,
}
_PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjcKJYGBgYGBgYE="}


def _says(*blocks: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, *blocks]}]}


def _answered(*blocks: Any) -> dict[str, Any]:
    return {"messages": [_USER, {"role": "assistant", "content": [*blocks, {"type": "text", "text": "so"}]}, _USER]}


def _result(**more: Any) -> dict[str, Any]:
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "no", **more}
    return {"messages": [_USER, {"role": "assistant", "content": [_CALL]}, {"role": "user", "content": [result]}]}


_IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
#: what the row is about → the request with it, and the same without
ROWS: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "`system`, text or blocks": ({"system": [{"type": "text", "text": "Be brief."}]}, {}),
    "`image` as data": (_says(_IMAGE), _says()),
    "`image` by URL": (_says({"type": "image", "source": {"type": "url", "url": "https://h/x.png"}}), _says()),
    "`image`, `document` by `file_id`": (
        _says({"type": "document", "source": {"type": "file", "file_id": "file_011CNha8iCJc"}}),
        _says(),
    ),
    "`document`, PDF": (_says({"type": "document", "source": _PDF}), _says()),
    "`document`, text or content": (
        _says(
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "It is so, as you know."},
            }
        ),
        _says(),
    ),
    "`search_result`": (
        _says(
            {
                "type": "search_result",
                "source": "s",
                "title": "t",
                "content": [{"type": "text", "text": "It is so, as you know."}],
            }
        ),
        _says(),
    ),
    "`citations` wanted": (
        _says({"type": "document", "source": _PDF, "citations": {"enabled": True}}),
        _says({"type": "document", "source": _PDF}),
    ),
    "`cache_control` of a block": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": _MARK}]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]},
    ),
    "`cache_control` of the request": ({"cache_control": _MARK}, {}),
    "`thinking`, `redacted_thinking` of Claude": (
        _answered({"type": "thinking", "thinking": "hm", "signature": "c2lnbmVkIGJ5IENsYXVkZQ=="}),
        _answered(),
    ),
    "`server_tool_use` and its result, earlier": (
        _answered({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}),
        _answered(),
    ),
    "`tool_use`, earlier": ({"messages": [_USER, {"role": "assistant", "content": [_CALL]}]}, {}),
    "`tool_result`": (_result(), {"messages": [_USER, {"role": "assistant", "content": [_CALL]}]}),
    "`tool_result` with an image": (_result(content=[_IMAGE]), _result(content=[])),
    "`is_error`": (_result(is_error=True), _result()),
    "`tools` of the caller's": ({"tools": [_TOOL]}, {}),
    "`strict` of a tool": ({"tools": [_TOOL | {"strict": True}]}, {"tools": [_TOOL]}),
    "`eager_input_streaming` and the like": ({"tools": [_TOOL | {"eager_input_streaming": True}]}, {"tools": [_TOOL]}),
    "`tools` of Claude's: web search, bash, computer": ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, {}),
    "`tool_choice`": ({"tools": [_TOOL], "tool_choice": {"type": "any"}}, {"tools": [_TOOL]}),
    "`disable_parallel_tool_use`": (
        {"tools": [_TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        {"tools": [_TOOL], "tool_choice": {"type": "auto"}},
    ),
    "`max_tokens`": ({"max_tokens": 77}, {}),
    "`stop_sequences`": ({"stop_sequences": ["END"]}, {}),
    "`temperature`": ({"temperature": 0.25}, {}),
    "`top_p`": ({"top_p": 0.5}, {}),
    "`top_k`": ({"top_k": 5}, {}),
    "`thinking`": ({"thinking": {"type": "enabled", "budget_tokens": 10_000}}, {}),
    "`output_config.effort`": ({"output_config": {"effort": "low"}}, {}),
    "`output_config.format`": ({"output_config": {"format": {"type": "json_schema", "schema": _SCHEMA}}}, {}),
    "`metadata`": ({"metadata": {"user_id": "u"}}, {}),
    "`service_tier`": ({"service_tier": "auto"}, {}),
    "`container`": ({"container": "c"}, {}),
    "`mcp_servers`": ({"mcp_servers": [{"type": "url", "url": "https://h", "name": "m"}]}, {}),
    "`context_management`": ({"context_management": {"edits": []}}, {}),
    "`anthropic-beta`, `anthropic-version`": ({"anthropic-beta": "b"}, {}),
}


def written(page: str) -> str:
    """The page with the table as it should be."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


def table() -> str:
    with Flask("table").test_request_context():
        rows = [f"| {row} | {' | '.join(_cell(wire, *said) for wire in MODELS)} |" for row, said in ROWS.items()]
    return "\n".join(["| | Claude | OpenAI's format | Gemini |", "|---|---|---|---|", *rows]) + "\n"


def _cell(wire: WireFormat, said: Mapping[str, Any], without: Mapping[str, Any]) -> str:
    try:
        body, dropped = _told(wire, said)
        plain, _ = _told(wire, without)
    except BadRequest:
        return "not asked"
    added = sorted(set(_leaves(body)) - set(_leaves(plain)), key=lambda leaf: (-len(leaf[1]), leaf))
    where = f"`{added[0][0]}`" if added else ""
    if dropped:
        names = ", ".join(f"`{name}`" for name in dropped)
        return f"{where}; without {names}" if where else f"left out: {names}"
    return where or ("not sent" if "anthropic-beta" in said else "held to")


def _told(wire: WireFormat, said: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """What a target of this format is sent, and what it is not, by the caller's names."""
    headers = {"anthropic-beta": str(said["anthropic-beta"])} if "anthropic-beta" in said else {}
    fields = {name: value for name, value in said.items() if name not in headers}
    asked = request.read({"model": "m", "max_tokens": 9, "messages": [_USER]} | fields, lambda _: Chosen("x"), headers)
    call = asked.call
    wanted = ChatRequest(messages=call.messages, extra=call.extra, dialect=call.dialect, **call.parameters)
    if (why := not_in_words_of(wire, call.dialect)) is not None:
        raise why
    thinks = wire is WireFormat.OPENAI and wanted.reasoning_effort is not None
    model = THINKER if thinks else MODELS[wire]
    provider = Provider(name=wire, format=wire, base_url="http://h", key_env=None, models=(model,))
    outgoing = FORMATS[wire].build(Endpoint(provider, key=""), model, wanted, False)
    sent = {name: value for name, value in outgoing.headers.items() if name in headers}
    left = left_out(wanted, outgoing, wire)
    body = {name: value for name, value in json.loads(outgoing.body).items() if name != "model"}
    return body | sent, answer.named(left, {"reasoning_effort": asked.effort_field})


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    match value:
        case dict() if value:
            for name, each in value.items():
                yield from _leaves(each, f"{path}.{name}" if path else name)
        case list() if value:
            for each in value:
                yield from _leaves(each, f"{path}[]")
        case _:
            yield re.sub(r"\.(properties|schema|input_schema)\..*", r".\1", path), json.dumps(value)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

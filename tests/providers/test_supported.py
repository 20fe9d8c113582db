"""The table of docs/providers.md says of each parameter what the code does with it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.domain.catalog import WireFormat
from app.providers.base import ChatRequest, Message
from app.providers.formats import FORMATS
from tests.providers.calls import endpoint

PAGE = (Path(__file__).parents[2] / "docs" / "providers.md").read_text(encoding="utf-8")
MODELS = {
    WireFormat.OPENAI: "gpt-4.1-mini",
    WireFormat.ANTHROPIC: "claude-haiku-4-5",
    WireFormat.GEMINI: "gemini-2.5-flash",
}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
VALUES: dict[str, Any] = {
    "max_tokens": 77,
    "temperature": 0.5,
    "top_p": 0.5,
    "frequency_penalty": 0.5,
    "presence_penalty": 0.5,
    "stop": ("end",),
    "seed": 77,
    "json_mode": True,
    "tools": (TOOL,),
    "tool_choice": "required",
}


def cells() -> list[Any]:
    rows = re.findall(r"^\| `(\w+)` \|(.+)\|$", PAGE, re.MULTILINE)
    return [
        pytest.param(name, wire, cell.strip(), id=f"{name} {wire.value}")
        for name, row in rows
        if name in VALUES
        for wire, cell in zip(WireFormat, row.split("|"), strict=True)
    ]


def test_the_table_has_every_parameter() -> None:
    assert {cell.values[0] for cell in cells()} == set(VALUES)
    assert {*VALUES, "messages"} == {*ChatRequest.__dataclass_fields__}


@pytest.mark.parametrize(("name", "wire", "cell"), cells())
def test_a_parameter_is_sent_or_dropped_as_the_table_says(name: str, wire: WireFormat, cell: str) -> None:
    more = {"tools": (TOOL,)} if name == "tool_choice" else {}
    build = FORMATS[wire].build
    hello = (Message("user", "Hello"),)
    given = build(endpoint("http://x", wire), MODELS[wire], ChatRequest(hello, **{name: VALUES[name], **more}), False)
    without = build(endpoint("http://x", wire), MODELS[wire], ChatRequest(hello, **more), False)

    assert cell.split(";")[0].split(",")[0] == ("dropped" if name in given.dropped else "yes")
    assert (json.loads(given.body) == json.loads(without.body)) is (name in given.dropped)

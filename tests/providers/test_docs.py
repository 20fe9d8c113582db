"""The tables of docs/providers.md say what the code does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from app import errors
from app.config_files import load_providers
from app.domain.catalog import WireFormat
from app.errors import ProviderError
from app.providers.base import ChatRequest, JsonSchema, Message, ToolCall
from app.providers.conversation import Image
from app.providers.wire import anthropic, gemini, openai
from app.providers.wire.formats import FORMATS
from tests.providers.calls import endpoint
from tests.support.matrix import written

PAGE = (Path(__file__).parents[2] / "docs" / "providers.md").read_text(encoding="utf-8")
MODELS = {
    WireFormat.OPENAI: "gpt-4.1-mini",
    WireFormat.ANTHROPIC: "claude-haiku-4-5",
    WireFormat.GEMINI: "gemini-2.5-flash",
}
USER = Message("user", "Hello")
TOOL = {"type": "function", "function": {"name": "time", "parameters": {"type": "object", "properties": {}}}}
CALLED = Message("assistant", "", tool_calls=(ToolCall("a", "time", "{}"),))


def picture(url: str) -> Message:
    return Message("user", (Image(url),))


#: a request that says what the row is about, and the field of ChatRequest it is about
SAID: dict[str, tuple[dict[str, Any], str]] = {
    "system prompt": ({"messages": (Message("system", "Be brief."), USER)}, "messages"),
    "earlier turns": ({"messages": (USER, Message("assistant", "Hi"), USER)}, "messages"),
    "image as data": ({"messages": (picture("data:image/png;base64,iVBORw0KGgo="),)}, "messages"),
    "image by URL": ({"messages": (picture("https://h/x.png"),)}, "messages"),
    "tool call made": ({"messages": (USER, CALLED)}, "messages"),
    "tool result": ({"messages": (USER, CALLED, Message("tool", "noon", tool_call_id="a"))}, "messages"),
    "tools": ({"tools": (TOOL,)}, "tools"),
    "tool_choice": ({"tools": (TOOL,), "tool_choice": "auto"}, "tool_choice"),
    "max_tokens": ({"max_tokens": 50}, "max_tokens"),
    "temperature": ({"temperature": 0.5}, "temperature"),
    "top_p": ({"top_p": 0.9}, "top_p"),
    "frequency_penalty": ({"frequency_penalty": 0.1}, "frequency_penalty"),
    "presence_penalty": ({"presence_penalty": 0.1}, "presence_penalty"),
    "stop": ({"stop": ("END",)}, "stop"),
    "seed": ({"seed": 7}, "seed"),
    "json_mode": ({"json_mode": True}, "json_mode"),
    "json_schema": ({"json_schema": JsonSchema("place", {"type": "object"})}, "json_schema"),
    "reasoning_effort": ({"reasoning_effort": "low"}, "reasoning_effort"),
    "allowed_tools": (
        {
            "tools": (TOOL, {"type": "function", "function": {"name": "day"}}),
            "tool_choice": "auto",
            "allowed_tools": ("time",),
        },
        "allowed_tools",
    ),
    "functions": ({"tools": (TOOL,), "functions": True}, "functions"),
    "n": ({"n": 2}, "n"),
    "logprobs": ({"logprobs": True}, "logprobs"),
    "top_logprobs": ({"logprobs": True, "top_logprobs": 3}, "top_logprobs"),
    "service_tier": ({"service_tier": "flex"}, "service_tier"),
    "verbosity": ({"verbosity": "low"}, "verbosity"),
    "parallel_tool_calls": ({"tools": (TOOL,), "parallel_tool_calls": False}, "parallel_tool_calls"),
}


def table(heading: str) -> list[list[str]]:
    """The rows of the first table under a heading, without its head."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    end = next((n for n, line in enumerate(lines) if n > 1 and re.match(r"\|[-|]+\|$", line)), len(lines) + 1)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2 : end - 1]]


PARAMETERS = {row[0]: dict(zip(WireFormat, row[1:], strict=True)) for row in table("Parameters")}


def found(document: Any, path: str) -> Iterator[Any]:
    """What stands at `a.b[].c`, in any element of the lists on the way."""
    step, _, rest = path.partition(".")
    value = document.get(step.removesuffix("[]")) if isinstance(document, dict) else None
    here = (value if isinstance(value, list) else []) if step.endswith("[]") else [value]
    for each in here:
        if not rest:
            yield from [each] if each is not None else []
        else:
            yield from found(each, rest)


def test_every_parameter_has_a_row_and_every_row_a_parameter() -> None:
    assert set(PARAMETERS) == set(SAID)
    assert {field for _, field in SAID.values()} == {field.name for field in fields(ChatRequest)} - {
        "defaults",
        "dialect",
        "completion",
        "embedding",
        "extra",
        "hints",
        "omitted",
        "passed",
        "cache_marks",
    }


@pytest.mark.parametrize("wire", WireFormat)
@pytest.mark.parametrize("row", SAID)
def test_parameter_goes_where_the_table_says(row: str, wire: WireFormat) -> None:
    said, field = SAID[row]
    request = ChatRequest(**{"messages": (USER,), **said})
    outgoing = FORMATS[wire].build(endpoint("http://h"), MODELS[wire], request, False)
    cell = PARAMETERS[row][wire]
    if cell == "dropped":
        assert field in outgoing.dropped
        return
    assert outgoing.dropped == ()
    if cell.startswith("(held to"):  # after the answer: nothing is sent for it
        return
    values = list(found(json.loads(outgoing.body), cell.strip("`")))
    assert values, cell
    if field != "messages" and not isinstance(said[field], bool | tuple | str | JsonSchema):
        assert values == [said[field]]


def test_table_of_capabilities_is_up_to_date() -> None:
    assert written(PAGE) == PAGE, "run .venv/bin/python -m tests.support.matrix"


def test_finish_words_are_those_of_the_code() -> None:
    known = {WireFormat.OPENAI: openai, WireFormat.ANTHROPIC: anthropic, WireFormat.GEMINI: gemini}
    told: dict[WireFormat, dict[str, str]] = {wire: {} for wire in WireFormat}
    for row in table("Why an answer ended"):
        for wire, cell in zip(WireFormat, row[1:], strict=True):
            plain = re.sub(r"\(.*\)|, or a .*", "", cell)
            told[wire] |= dict.fromkeys(re.findall(r"`(\w+)`", plain), row[0])
    for wire, module in known.items():
        expected = {word: f"`{finish.value}`" for word, finish in module.FINISH.items()}
        expected |= dict.fromkeys(getattr(module, "BROKEN", ()), "error `unusable_answer`")
        assert told[wire] == expected


def test_error_table_is_the_tree() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ProviderError) and kind is not ProviderError
    ]
    told = {
        code: (elsewhere == "yes", counts == "yes")
        for codes, _, elsewhere, counts in table("Errors")
        for code in re.findall(r"`(\w+)`", codes)
    }
    assert told == {kind.code: (kind.elsewhere, kind.counts) for kind in kinds}


def test_block_shown_for_ollama_is_one_that_works(tmp_path: Path) -> None:
    block = PAGE.partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "providers.toml").write_text(block, encoding="utf-8")
    (provider,) = load_providers(tmp_path)
    assert (provider.name, provider.key_env, provider.models) == ("ollama", None, ("llama3.2",))
    assert dict(provider.prices)["llama3.2"].input == 0

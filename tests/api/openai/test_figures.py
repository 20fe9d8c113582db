"""Limits, seeds, counts and formats as clients spell them: taken, named where left out, or refused by name."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.support.recording import Recording

OPENAI, CLAUDE, GEMINI = "openai/gpt-4.1-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash"
DROPPED = "x-tooloo-dropped-parameters"
U: Any = {"role": "user", "content": "json, please"}


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}


def test_a_whole_number_may_have_a_point(front: Recording) -> None:
    sent = front.sent(OPENAI, [U], max_tokens=100.0, seed=7.0)
    assert (sent["max_tokens"], sent["seed"]) == (100, 7)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"max_tokens": 10**30}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_completion_tokens": 0.0}, "max_completion_tokens"),
        ({"seed": 2**63}, "seed"),
        ({"seed": "1"}, "seed"),
        ({"max_tokens": True}, "max_tokens"),
        ({"tools": [tool("")]}, "tools.0.function.name"),
        ({"tools": [tool(f"t{n}") for n in range(1025)]}, "tools"),
    ],
)
def test_a_figure_out_of_bounds_is_refused_by_name(front: Recording, more: dict[str, Any], field: str) -> None:
    response = front.ask("auto", [U], **more)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == field


def test_gemini_gets_no_seed_that_it_cannot_read(front: Recording) -> None:
    response = front.ask(GEMINI, [U], seed=2**31)
    assert response.headers[DROPPED] == "seed"
    assert front.sent(GEMINI, [U], seed=-(2**31))["generationConfig"]["seed"] == -(2**31)


def test_of_two_limits_the_one_left_out_is_named(front: Recording) -> None:
    response = front.ask(OPENAI, [U], max_tokens=10, max_completion_tokens=20)
    assert response.headers[DROPPED] == "max_tokens"
    assert DROPPED not in front.ask(OPENAI, [U], max_tokens=20, max_completion_tokens=20).headers


@pytest.mark.parametrize("model", [CLAUDE, GEMINI])
def test_more_tools_than_openai_takes_go_to_who_takes_them(front: Recording, model: str) -> None:
    body = front.sent(model, [U], tools=[tool(f"t{n}") for n in range(200)])
    tools = body["tools"] if model == CLAUDE else body["tools"][0]["functionDeclarations"]
    assert len(tools) == 200


def test_auto_passes_over_who_takes_fewer_tools(front: Recording) -> None:
    response = front.ask("auto", [U], tools=[tool(f"t{n}") for n in range(200)])
    assert response.status_code == 200, response.text
    assert not front.servers["openai"].received
    assert not front.servers["deepseek"].received


FORMATS: list[tuple[dict[str, Any], str]] = [
    ({"type": "json_object", "schema": {"type": "object"}}, "response_format.schema"),
    (
        {"type": "json_schema", "json_schema": {"name": "o", "schema": {"type": "object"}, "x": 1}},
        "response_format.json_schema.x",
    ),
]


@pytest.mark.parametrize(("wanted", "name"), FORMATS)
def test_an_unknown_field_of_a_format_is_named(front: Recording, wanted: dict[str, Any], name: str) -> None:
    assert front.ask(OPENAI, [U], response_format=wanted).headers[DROPPED] == name
    response = requests.post(
        f"{front.url}/v1/chat/completions",
        json={"model": OPENAI, "messages": [U], "response_format": wanted},
        headers={"X-Tooloo-Parameters": "strict"},
        timeout=30,
    )
    assert response.status_code == 400
    assert response.json()["error"]["param"] == name

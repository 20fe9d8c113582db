"""Conversations in Anthropic's words: what reaches Claude as it came, and what others get of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.gateway.needs import needs
from app.providers.conversation import Message, Text
from tests.api.anthropic.front import (
    CLAUDE,
    COMPAT,
    FORMATS,
    GEMINI,
    MARK,
    OPENAI,
    PIXEL,
    F,
    U,
    ask,
    dropped,
    result,
    said,
    sent,
    text,
    told,
    use,
)
from tests.support.recording import Recording

IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
PDF = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
    "title": "A title",
    "context": "A context",
    "citations": {"enabled": True},
}
SEARCH: Any = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
SERVER_CALL = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
THOUGHT = {"type": "thinking", "thinking": "one", "signature": "c2lnbmVk"}
HIDDEN = {"type": "redacted_thinking", "data": "aGlkZGVu"}
AGAIN = {"type": "thinking", "thinking": "two", "signature": "c2lnbmVkIHR3aWNl"}


def test_claude_gets_a_conversation_as_it_came(front: Recording) -> None:
    """Thoughts in between, marks at every place, citations, documents, results with images."""
    history = [
        told(text("look", cache_control=MARK), IMAGE, PDF),
        said(THOUGHT, HIDDEN, text("so", citations=[]), use("toolu_1", a="x"), AGAIN, use("toolu_2")),
        told(
            result("toolu_1", [text("seen"), IMAGE], cache_control=MARK),
            result("toolu_2", "broke", is_error=True),
            text("and now?"),
        ),
    ]
    system = [text("Be brief.", cache_control=MARK), text("Be kind.")]
    body = sent(
        front, CLAUDE, history, system=system, tools=[F | {"cache_control": MARK, "eager_input_streaming": True}]
    )

    assert body["messages"] == history
    assert body["system"] == system
    assert body["tools"] == [F | {"cache_control": MARK, "eager_input_streaming": True}]


def test_fields_of_claudes_go_to_claude_and_are_named_elsewhere(front: Recording) -> None:
    fields: dict[str, Any] = {
        "metadata": {"user_id": "u"},
        "service_tier": "auto",
        "top_k": 5,
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "cache_control": MARK,
        "inference_geo": "eu",
    }
    body = sent(front, CLAUDE, [U], **fields)
    assert {name: body[name] for name in fields} == fields
    response = ask(front, COMPAT, [U], **fields)
    assert dropped(response) == set(fields)
    assert set(front.servers["compat"].received[0].json) == {"model", "messages", "max_tokens"}


def test_what_nobody_here_knows_goes_to_who_is_named_or_as_the_header_says(front: Recording) -> None:
    assert dropped(ask(front, COMPAT, [U], new_field=1)) == {"new_field"}
    assert "new_field" not in front.servers["compat"].received[0].json
    assert dropped(ask(front, OPENAI, [U], {"X-Tooloo-Parameters": "drop"}, new_field=1)) == {"new_field"}
    refused = ask(front, CLAUDE, [U], {"X-Tooloo-Parameters": "strict"}, new_field=1)
    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
    assert "new_field" in refused.json()["error"]["message"]


def test_the_callers_version_and_betas_reach_claude_alone(front: Recording) -> None:
    headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "context-1m-2025-08-07,fine-grained-tool-streaming"}
    sent(front, CLAUDE, [U], headers)
    received = {name.lower(): value for name, value in front.servers["anthropic"].received[0].headers.items()}
    assert {name: received[name] for name in headers} == headers
    sent(front, OPENAI, [U], headers)
    assert not any(name.lower().startswith("anthropic") for name in front.servers["openai"].received[0].headers)


@pytest.mark.parametrize(
    ("thinking", "output_config", "effort"),
    [
        ({"type": "disabled"}, None, "none"),
        ({"type": "enabled", "budget_tokens": 1024}, None, "low"),
        ({"type": "enabled", "budget_tokens": 10_000}, None, "medium"),
        ({"type": "enabled", "budget_tokens": 31_999}, None, "high"),
        ({"type": "adaptive"}, None, "medium"),
        ({"type": "adaptive"}, {"effort": "max"}, "max"),
        (None, {"effort": "low"}, "low"),
    ],
)
def test_thinking_is_an_effort_elsewhere(front: Recording, thinking: Any, output_config: Any, effort: str) -> None:
    fields = {k: v for k, v in {"thinking": thinking, "output_config": output_config}.items() if v}
    assert sent(front, "openai/gpt-5.4", [U], **fields)["reasoning_effort"] == effort
    budgets = {"none": 0, "low": 1024, "medium": 8192, "high": 24576}
    response = ask(front, GEMINI, [U], **fields)
    config = front.servers["gemini"].received[0].json.get("generationConfig", {})
    if effort in budgets:
        assert config["thinkingConfig"] == {"thinkingBudget": budgets[effort]}
    else:
        assert dropped(response) == {"output_config.effort"}
    assert dropped(ask(front, OPENAI, [U], **fields)) == {"output_config.effort" if output_config else "thinking"}
    opus = sent(front, "anthropic/claude-opus-4-6", [U], **fields)
    assert {name: opus[name] for name in fields} == fields


TOOLS_OF_CLAUDES: list[Any] = [
    SEARCH,
    {"type": "bash_20250124", "name": "bash"},
    {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
]


@pytest.mark.parametrize("tool", TOOLS_OF_CLAUDES)
def test_tools_of_claudes_own_go_to_claude_and_are_refused_by_name_elsewhere(front: Recording, tool: Any) -> None:
    assert sent(front, CLAUDE, [U], tools=[F, tool])["tools"] == [F, tool]
    choice = {"type": "tool", "name": tool["name"]}
    assert sent(front, CLAUDE, [U], tools=[tool], tool_choice=choice)["tool_choice"] == choice
    for model in (GEMINI, COMPAT, OPENAI):
        refused = ask(front, model, [U], tools=[F, tool])
        assert refused.status_code == 400
        assert f"tools.1 ({tool['type']})" in refused.json()["error"]["message"]
        assert front.servers[model.split("/")[0]].received == []


def test_under_auto_only_claude_is_asked_for_what_only_claude_has(front: Recording) -> None:
    response = ask(front, "auto", [U], tools=[SEARCH])
    assert response.headers["x-tooloo-target"].startswith("anthropic/")
    assert response.headers["x-tooloo-attempts"] == "1"
    kept = told({"type": "document", "source": {"type": "file", "file_id": "file_1"}})
    response = ask(front, "auto", [kept])
    assert response.headers["x-tooloo-target"].startswith("anthropic/")
    refused = ask(front, GEMINI, [kept])
    assert "messages.0.content.0.source (file file_1)" in refused.json()["error"]["message"]


@pytest.mark.parametrize("model", [GEMINI, COMPAT, OPENAI])
def test_others_get_what_a_document_says(front: Recording, model: str) -> None:
    plain = {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "The data."},
        "title": "T",
    }
    listed = {"type": "document", "source": {"type": "content", "content": [text("One."), IMAGE]}}
    found = {"type": "search_result", "source": "https://h", "title": "Found", "content": [text("It.")]}
    response = ask(front, model, [told(plain, listed, found, PDF, text("Well?"))])
    body = json.dumps(front.servers[model.split("/")[0]].received[0].json)
    places = [
        body.index(each) for each in ("T", "The data.", "One.", PIXEL, "Found", "https://h", "It.", "JVBERi0=", "Well?")
    ]
    assert places == sorted(places)
    assert "A context" in body
    # its title is told in words; Gemini has no field for it besides
    assert dropped(response) - {"file.filename"} == {"messages.citations"}


@pytest.mark.parametrize("model", [GEMINI, COMPAT, OPENAI])
def test_what_claudes_tools_found_is_named_and_its_words_are_told(front: Recording, model: str) -> None:
    searched = said(
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        text("It is so."),
    )
    response = ask(front, model, [U, searched, U])
    body = json.dumps(front.servers[model.split("/")[0]].received[0].json)
    assert "It is so." in body
    assert "srvtoolu_1" not in body
    assert dropped(response) == {"messages.server_tool_use", "messages.web_search_tool_result"}
    assert sent(front, CLAUDE, [U, searched, U])["messages"][1] == searched


def test_a_turn_that_claude_paused_goes_on(front: Recording) -> None:
    paused = said(SERVER_CALL)
    body = sent(front, "anthropic/claude-opus-4-6", [U, paused], tools=[SEARCH])
    assert body["messages"] == [told(text("hi")), paused]
    assert ask(front, "auto", [U, paused], tools=[SEARCH]).status_code == 200


@pytest.mark.parametrize(("last", "begins"), [(text("so"), True), (THOUGHT, True), (SERVER_CALL, False)])
def test_a_paused_turn_is_no_beginning_of_an_answer(last: Any, begins: bool) -> None:
    paused = Message("assistant", (Text("so"),), native=(text("so"), last))
    assert ("prefill" in needs([Message("user", "hi"), paused], {}, stream=False)) is begins


def test_a_failed_tool_is_told_where_there_is_a_word_for_it(front: Recording) -> None:
    history = [U, said(use("toolu_1")), told(result("toolu_1", "no such file", is_error=True))]
    assert sent(front, CLAUDE, history)["messages"][2] == history[2]
    parts = [part for turn in sent(front, GEMINI, history)["contents"] for part in turn["parts"]]
    assert [p["functionResponse"]["response"] for p in parts if "functionResponse" in p] == [{"error": "no such file"}]
    assert dropped(ask(front, COMPAT, history)) == {"messages.is_error"}


@pytest.mark.parametrize("model", FORMATS)
def test_ids_of_others_are_spelled_as_claude_takes_them(front: Recording, model: str) -> None:
    history = [U, said(use("functions.f:0")), told(result("functions.f:0"))]
    body = sent(front, model, history)
    assert ('"functions.f:0"' in json.dumps(body)) is (model != CLAUDE)
    if model == CLAUDE:
        assert body["messages"][1]["content"][0]["id"] == body["messages"][2]["content"][0]["tool_use_id"]


def test_a_mark_too_many_is_taken_away_and_named(front: Recording) -> None:
    marked = [text(f"{n}", cache_control=MARK) for n in range(4)]
    response = ask(front, CLAUDE, [told(*marked)], system=[text("s", cache_control=MARK)], cache_control=MARK)
    body = front.servers["anthropic"].received[0].json
    assert json.dumps(body).count("ephemeral") == 4
    assert "cache_control" in body
    assert dropped(response) == {"cache_control"}


def test_blank_texts_do_not_reach_claude(front: Recording) -> None:
    body = sent(front, CLAUDE, [told(text(""), text("x")), said(text(" ")), told(text("y"))], system=[text(" ")])
    assert body["messages"] == [told(text("x"), text("y"))]
    assert "system" not in body


def test_system_stays_a_text_or_a_list(front: Recording) -> None:
    assert sent(front, CLAUDE, [U], system="Be brief.")["system"] == "Be brief."
    assert sent(front, CLAUDE, [U], system=[text("a"), text("b")])["system"] == [text("a"), text("b")]
    assert sent(front, COMPAT, [U], system=[text("a"), text("b")])["messages"][0]["content"] == "a\n\nb"


@pytest.mark.parametrize(
    ("choice", "openai"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any", "disable_parallel_tool_use": True}, "required"),
        ({"type": "tool", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
        ({"type": "none"}, "none"),
    ],
)
def test_tool_choice_is_said_in_every_format(front: Recording, choice: Any, openai: Any) -> None:
    body = sent(front, OPENAI, [U], tools=[F], tool_choice=choice)
    assert body["tool_choice"] == openai
    assert body.get("parallel_tool_calls") is (False if "disable_parallel_tool_use" in choice else None)
    assert sent(front, CLAUDE, [U], tools=[F], tool_choice=choice)["tool_choice"] == choice


def test_a_schema_is_told_claude_in_its_own_field(front: Recording) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    wanted = {"format": {"type": "json_schema", "schema": schema}}
    assert sent(front, CLAUDE, [U], output_config=wanted)["output_config"] == wanted
    assert sent(front, OPENAI, [U], output_config=wanted)["response_format"]["json_schema"]["strict"] is True

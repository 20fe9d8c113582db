"""What an agent's history becomes on the wire: the bodies that a provider's server received."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.catalog import Provider, WireFormat
from app.errors import ProviderError
from app.providers.base import ChatRequest, Endpoint, Message, ToolCall
from app.providers.client import Client
from app.providers.conversation import Image, Text
from tests.providers.server import Server, whole

OPENAI, ANTHROPIC, GEMINI = WireFormat.OPENAI, WireFormat.ANTHROPIC, WireFormat.GEMINI
USER = Message("user", "hi")


def sent(
    client: Client, server: Server, wire: WireFormat, *messages: Message, model: str = "m", name: str = "compat"
) -> Any:
    """The body that reached the server."""
    server.received.clear()
    server.answer = lambda _: whole(400, {"content-type": "application/json"}, b"{}")
    provider = Provider(name=name, format=wire, base_url=server.url, key_env=None, models=(model,))
    with pytest.raises(ProviderError):
        client.complete(Endpoint(provider, ""), model, ChatRequest(messages), timeout_ms=20_000)
    return server.received[0].json


def text(*texts: str) -> tuple[Text, ...]:
    return tuple(Text(each) for each in texts)


def called(*ids: str, content: Any = "", reasoning: str = "") -> Message:
    calls = tuple(ToolCall(each, "f", "{}") for each in ids)
    return Message("assistant", content, tool_calls=calls, reasoning=reasoning)


@pytest.mark.parametrize("nothing", ["", (), text("")])
def test_a_turn_of_calls_without_text_has_null_content(client: Client, server: Server, nothing: Any) -> None:
    history = (USER, called("call_1", content=nothing), Message("tool", "x", tool_call_id="call_1"))
    turn = sent(client, server, OPENAI, *history)["messages"][1]
    assert turn["content"] is None
    assert turn["tool_calls"][0]["id"] == "call_1"


@pytest.mark.parametrize("role", ["system", "user", "assistant", "tool"])
def test_parts_of_text_alone_are_one_text(client: Client, server: Server, role: str) -> None:
    said = Message(role, text("be ", "brief"), tool_call_id="c" if role == "tool" else None)
    history = (USER, called("c"), said) if role == "tool" else (said, USER)
    assert "be brief" in [turn["content"] for turn in sent(client, server, OPENAI, *history)["messages"]]


def test_parts_beside_an_image_stay_a_list(client: Client, server: Server) -> None:
    said = Message("user", (*text("what?"), Image("https://h/x.png")))
    assert sent(client, server, OPENAI, said)["messages"][0]["content"] == [
        {"type": "text", "text": "what?"},
        {"type": "image_url", "image_url": {"url": "https://h/x.png"}},
    ]


@pytest.mark.parametrize("wire", WireFormat)
@pytest.mark.parametrize("nothing", ["", " \n", (), text(""), text("\n", " ")])
def test_a_turn_that_says_and_calls_nothing_is_left_out(
    client: Client, server: Server, wire: WireFormat, nothing: Any
) -> None:
    body = sent(client, server, wire, USER, Message("assistant", nothing), USER)
    turns = body["contents" if wire is GEMINI else "messages"]
    assert {turn["role"] for turn in turns} == {"user"}


@pytest.mark.parametrize(("name", "role"), [("openai", "developer"), ("deepseek", "system"), ("compat", "system")])
def test_role_developer_is_for_openai_alone(client: Client, server: Server, name: str, role: str) -> None:
    body = sent(client, server, OPENAI, Message("developer", "Be brief."), USER, name=name)
    assert [turn["role"] for turn in body["messages"]] == [role, "user"]


def test_reasoning_goes_back_to_servers_that_gave_it(client: Client, server: Server) -> None:
    history = (USER, called("c", reasoning="I need the date."), Message("tool", "x", tool_call_id="c"))
    assert sent(client, server, OPENAI, *history)["messages"][1]["reasoning_content"] == "I need the date."
    assert "reasoning_content" not in sent(client, server, OPENAI, *history, name="openai")["messages"][1]
    for wire in (ANTHROPIC, GEMINI):
        assert "I need the date." not in str(sent(client, server, wire, *history))


def test_behind_a_result_only_the_assistant_speaks_to_mistral(client: Client, server: Server) -> None:
    """Its servers: "Unexpected role 'user' after role 'tool'"."""
    loop = (USER, called("c"), Message("tool", "x", tool_call_id="c"))
    history = (
        *loop,
        Message("system", "Be brief."),
        USER,
        Message("assistant", "ok"),
        Message("system", "More."),
        USER,
    )
    turns = sent(client, server, OPENAI, *history, model="mistral-large-latest")["messages"]
    assert [turn["role"] for turn in turns] == [
        *("user", "assistant", "tool"),
        *("assistant", "user", "user", "assistant", "user", "user"),
    ]
    assert [turn["content"] for turn in turns if turn["role"] == "assistant"][1] == "(The results have arrived.)"


def test_an_image_of_a_result_stands_behind_the_assistants_word(client: Client, server: Server) -> None:
    image = Message("tool", (Image("https://h/x.png"),), tool_call_id="c", name="f")
    turns = sent(client, server, OPENAI, USER, called("c"), image, model="mistral-large-latest")["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "tool", "assistant", "user"]


@pytest.mark.parametrize(("name", "told"), [("groq", False), ("mistral", False), ("openai", True)])
def test_a_speakers_name_is_told_where_it_is_taken(client: Client, server: Server, name: str, told: bool) -> None:
    (turn,) = sent(client, server, OPENAI, Message("user", "hi", name="anna"), name=name)["messages"]
    assert ("name" in turn) is told

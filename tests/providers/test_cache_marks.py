"""Marks for Claude's prompt cache that the caller did not set: where the setting says so, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.catalog import Provider, WireFormat
from app.errors import ProviderError
from app.providers.base import ChatRequest, Endpoint, Message, ToolCall
from app.providers.client import Client
from app.providers.conversation import Text
from tests.providers.server import Server, whole

MARK = {"type": "ephemeral"}
TOOLS = tuple({"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in "ab")
SYSTEM, USER = Message("system", "be brief"), Message("user", "hi")


def sent(client: Client, server: Server, *messages: Message, wire: str = "anthropic", **fields: Any) -> Any:
    server.received.clear()
    server.answer = lambda _: whole(400, {"content-type": "application/json"}, b"{}")
    provider = Provider(name="p", format=WireFormat(wire), base_url=server.url, key_env=None, models=("m",))
    with pytest.raises(ProviderError):
        client.complete(Endpoint(provider, ""), "m", ChatRequest(messages, **fields), timeout_ms=20_000)
    return server.received[0].json


def marked(body: Any) -> list[Any]:
    """Blocks with a mark, in the order of the prompt."""
    system = body.get("system", [])
    blocks = [*body.get("tools", ()), *(system if isinstance(system, list) else ())]
    blocks += [block for turn in body["messages"] for block in turn["content"]]
    return [block for block in blocks if "cache_control" in block]


def test_the_standing_part_and_what_was_said_so_far_are_marked(client: Client, server: Server) -> None:
    history = (
        SYSTEM,
        USER,
        Message("assistant", "", (ToolCall("c", "a", "{}"),)),
        Message("tool", "1", tool_call_id="c"),
    )
    first, last = marked(sent(client, server, *history, tools=TOOLS, cache_marks=True))

    assert first == {"type": "text", "text": "be brief", "cache_control": MARK}
    assert (last["type"], last["cache_control"]) == ("tool_result", MARK)


def test_without_instructions_the_last_tool_is(client: Client, server: Server) -> None:
    first, last = marked(sent(client, server, USER, tools=TOOLS, cache_marks=True))
    assert (first["name"], last["text"]) == ("b", "hi")
    assert [block["text"] for block in marked(sent(client, server, USER, cache_marks=True))] == ["hi"]


def test_a_thought_is_never_marked(client: Client, server: Server) -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    said = Message("assistant", "", extra={"thinking_blocks": [thought]})
    blocks = marked(sent(client, server, USER, said, cache_marks=True))
    assert all(block["type"] == "text" for block in blocks)
    assert len(blocks) == 1


def test_who_marks_is_left_alone(client: Client, server: Server) -> None:
    own = Message("user", (Text("long", MARK), Text("short")))
    assert [block["text"] for block in marked(sent(client, server, SYSTEM, own, cache_marks=True))] == ["long"]


def test_nothing_is_marked_unasked(client: Client, server: Server) -> None:
    assert marked(sent(client, server, SYSTEM, USER, tools=TOOLS)) == []


@pytest.mark.parametrize("wire", ["openai", "gemini"])
def test_nobody_else_gets_marks(client: Client, server: Server, wire: str) -> None:
    plain = sent(client, server, SYSTEM, USER, wire=wire)
    assert sent(client, server, SYSTEM, USER, wire=wire, cache_marks=True) == plain

"""Claude thinks between what it says and calls: such a turn goes back in the order in which it came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.api.openai import conversation
from app.domain.catalog import WireFormat
from app.providers.base import Answer, ChatRequest, JsonSchema
from app.providers.client import Client
from app.providers.conversation import PLACE
from app.providers.wire import anthropic
from tests.providers.calls import HELLO, TIMEOUT_MS, ask, endpoint
from tests.providers.server import Server, whole

MODEL = "claude-haiku-4-5"


def thought(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": text, "signature": f"of {text}"}


def said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def use(call_id: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "f", "input": {"of": call_id}}


HIDDEN = {"type": "redacted_thinking", "data": "ZW5j"}
TURNS = {
    "between texts": [thought("a"), said("One. "), thought("b"), said("Two.")],
    "before a call": [thought("a"), said("One."), thought("b"), use("c1")],
    "between calls": [thought("a"), use("c1"), thought("b"), use("c2")],
    "behind a call": [said("One."), use("c1"), thought("b"), said("Two."), use("c2")],
    "two at once": [thought("a"), said("One."), thought("b"), HIDDEN, use("c1")],
    "in front only": [thought("a"), HIDDEN, said("One."), use("c1")],
}


def answered(client: Client, server: Server, blocks: list[dict[str, Any]], *, stream: bool) -> Answer:
    body = {"type": "message", "model": MODEL, "content": blocks, "stop_reason": "end_turn"}
    if not stream:
        server.answer = lambda _: whole(200, {"content-type": "application/json"}, json.dumps(body).encode())
    else:
        events = [{"type": "message_start", "message": body | {"content": []}}]
        for index, block in enumerate(blocks):
            events += [
                {"type": "content_block_start", "index": index, "content_block": block},
                {"type": "content_block_stop", "index": index},
            ]
        events += [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}]
        pieces = b"".join(f"data: {json.dumps(event)}\n\n".encode() for event in events)
        server.answer = lambda _: whole(200, {"content-type": "text/event-stream"}, pieces)
    return ask(client, endpoint(server.url, WireFormat.ANTHROPIC), stream=stream, model=MODEL)[0]


def back(answer: Answer, **changed: Any) -> list[dict[str, Any]]:
    """The blocks of that turn as Claude gets them, when a client has sent it back in OpenAI's form."""
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in answer.tool_calls
    ]
    turn = {"role": "assistant", "content": answer.text, "tool_calls": calls, **answer.extra, **changed}
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "done"} for call in calls]
    return sent({"role": "user", "content": "Hello"}, turn, *results)


def sent(*turns: dict[str, Any]) -> list[dict[str, Any]]:
    request = ChatRequest(conversation.read([*turns, {"role": "user", "content": "Go on"}]))
    body = json.loads(anthropic.build(endpoint("http://h", WireFormat.ANTHROPIC), MODEL, request, False).body)
    content: list[dict[str, Any]] = body["messages"][1]["content"]
    return content


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("turn", TURNS)
def test_a_turn_goes_back_as_it_came(client: Client, server: Server, turn: str, stream: bool) -> None:
    assert back(answered(client, server, TURNS[turn], stream=stream)) == TURNS[turn]


def test_thoughts_in_front_have_no_key_of_ours(client: Client, server: Server) -> None:
    answer = answered(client, server, TURNS["in front only"], stream=False)
    assert answer.extra == {"thinking_blocks": [thought("a"), HIDDEN]}


def test_where_the_place_is_lost_all_thoughts_stand_in_front(client: Client, server: Server) -> None:
    answer = answered(client, server, TURNS["between texts"], stream=False)
    in_front = [thought("a"), thought("b"), said("One. Two.")]
    bare = [{name: value for name, value in each.items() if name != PLACE} for each in answer.extra["thinking_blocks"]]
    assert back(answer, thinking_blocks=bare) == in_front
    spoilt = [{**each, PLACE: "x"} for each in bare]
    assert back(answer, thinking_blocks=spoilt) == in_front


def test_a_turn_that_the_client_has_cut_has_its_thoughts_in_front(client: Client, server: Server) -> None:
    answer = answered(client, server, TURNS["between texts"], stream=False)
    assert back(answer, content="One") == [thought("a"), thought("b"), said("One")]


def test_thoughts_among_the_parts_of_a_message_keep_their_order() -> None:
    turn = {"role": "assistant", "content": TURNS["between texts"]}
    assert sent({"role": "user", "content": "Hello"}, turn) == TURNS["between texts"]


def test_a_schema_told_as_a_tool_gives_no_places(client: Client, server: Server) -> None:
    blocks = [said("I look."), thought("a"), {**use("c1"), "name": "place"}]
    body = {"type": "message", "model": MODEL, "content": blocks, "stop_reason": "tool_use"}
    server.answer = lambda _: whole(200, {"content-type": "application/json"}, json.dumps(body).encode())
    request = ChatRequest(HELLO.messages, json_schema=JsonSchema("place", {"type": "object"}))
    answer = client.complete(endpoint(server.url, WireFormat.ANTHROPIC), MODEL, request, timeout_ms=TIMEOUT_MS)
    assert (json.loads(answer.text), answer.extra) == ({"of": "c1"}, {"thinking_blocks": [thought("a")]})

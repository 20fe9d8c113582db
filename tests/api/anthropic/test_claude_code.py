"""Claude Code's requests, replayed in front of the strict lab: a target of every format, and one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from anthropic import Anthropic
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from app.lab.signatures import sign
from tests.api.anthropic.front import dropped, events_of
from tests.support.front import PROVIDERS, Served

RECORDED: Any = json.loads(
    Path(__file__).with_name("fixtures").joinpath("claude_code.json").read_text(encoding="utf-8")
)
#: what only Claude is told
CLAUDES = {"metadata", "cache_control", "thinking", "messages.thinking"}
EVENT: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
#: which requests hold an image
IMAGES = {5, 7, 9, 11}


def signed(block: Any) -> Any:
    return block | {"signature": sign(block["thinking"])} if block["type"] == "thinking" else block


def recorded(end: int) -> list[Any]:
    """The conversation of one request: signed, and marked for the cache at its end."""
    turns = [turn | {"content": [signed(block) for block in turn["content"]]} for turn in RECORDED["messages"][:end]]
    last = turns[-1]["content"]
    turns[-1]["content"] = [*last[:-1], last[-1] | {"cache_control": {"type": "ephemeral"}}]
    return turns


def send(api: Served, model: str, messages: list[Any], **more: Any) -> requests.Response:
    body = {"model": model, **RECORDED["common"], "messages": messages, **more}
    return requests.post(f"{api.url}/v1/messages?beta=true", json=body, headers=RECORDED["headers"], timeout=30)


def understood(response: requests.Response) -> Message:
    """Each event by the SDK's own types, all of them by its accumulator."""
    assert response.status_code == 200, response.text
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for kind, event in events_of(response.text):
        if kind != "ping":
            snapshot = accumulate_event(
                event=EVENT.validate_python(event), current_snapshot=snapshot, json_bufs=buffers
            )
    return Message.model_validate(snapshot.to_dict())


def answered(message: Message) -> list[Any]:
    """The turn as the client passes it back, and what its tools gave."""
    content: Any = [block.model_dump(exclude_none=True) for block in message.content]
    calls = [block["id"] for block in content if block["type"] == "tool_use"]
    said: list[Any] = [{"type": "tool_result", "tool_use_id": call, "content": "done"} for call in calls]
    return [
        {"role": "assistant", "content": content},
        {"role": "user", "content": said or [{"type": "text", "text": "Go on."}]},
    ]


@pytest.fixture
def thoughtful(client: Anthropic, api: Served) -> Iterator[Served]:
    """Every provider thinks, and calls a tool where it is free to."""
    for name in PROVIDERS:
        api.lab.set(name, tool_rate=1, reasoning_tokens=20)
    yield api
    for name in PROVIDERS:
        api.lab.set(name, tool_rate=0, reasoning_tokens=0)


@pytest.mark.parametrize("model", PROVIDERS)
@pytest.mark.parametrize("end", RECORDED["ends"])
def test_each_request_is_answered_by_each_format(thoughtful: Served, model: str, end: int) -> None:
    before = len(thoughtful.lab.refused())
    response = send(thoughtful, model, recorded(end))
    if model == "deepseek" and end in IMAGES:
        assert response.status_code == 400
        assert "text only" in response.json()["error"]["message"]
        return

    message = understood(response)

    # the lab calls a tool where the last word is the user's own: an image or a text behind results is that to some
    called = message.content[-1].type == "tool_use"
    assert called if end in (1, 11) else called or message.content[-1].type == "text"
    assert message.stop_reason == ("tool_use" if called else "end_turn")
    assert len(thoughtful.lab.refused()) == before
    left_out = dropped(response)
    if model == "anthropic":
        assert left_out == set()
        sent = thoughtful.lab.last()["parameters"]
        assert sent["thinking"] == RECORDED["common"]["thinking"]
        assert sent["metadata"] == RECORDED["common"]["metadata"]
    else:
        assert {"metadata", "cache_control"} <= left_out
        more = {"max_tokens"} if model in ("deepseek",) else set()
        failed = {"messages.is_error"} if end >= 7 and model != "gemini" else set()
        assert left_out <= CLAUDES | more | failed


def test_auto_passes_over_who_cannot_see(thoughtful: Served) -> None:
    response = send(thoughtful, "auto", recorded(5))

    assert response.headers["x-tooloo-target"].split("/")[0] in ("gemini", "openai", "anthropic")
    understood(response)


@pytest.mark.parametrize("order", [PROVIDERS, tuple(reversed(PROVIDERS))])
def test_a_conversation_goes_on_whoever_answers_next(thoughtful: Served, order: tuple[str, ...]) -> None:
    """Each turn and each result of a tool goes to another provider, which takes what the others gave."""
    before = len(thoughtful.lab.refused())
    messages = recorded(1)
    for turn in range(8):
        model = order[(turn + turn // 4) % len(order)]
        message = understood(send(thoughtful, model, messages))
        messages = [*messages, *answered(message)]
    assert thoughtful.lab.refused()[before:] == []


@pytest.fixture
def claude_first(thoughtful: Served) -> Iterator[Served]:
    thoughtful.configure(providers={"anthropic": {"priority": 1}, "deepseek": {"priority": 3}})
    yield thoughtful
    thoughtful.configure(providers={"anthropic": {"priority": 3}, "deepseek": {"priority": 1}})


def test_where_claude_fails_others_go_on_and_claude_takes_what_they_gave(claude_first: Served) -> None:
    first = understood(send(claude_first, "auto", recorded(1)))
    claude_first.lab.set("anthropic", error_rate=1, error_kind="overloaded")
    messages = [*recorded(1), *answered(first)]
    second = send(claude_first, "auto", messages)
    claude_first.lab.set("anthropic", error_rate=0)
    claude_first.reset()
    messages += [*answered(understood(second)), {"role": "user", "content": "Go on."}]
    third = send(claude_first, "auto", messages)
    fourth = send(claude_first, "anthropic", messages)

    # the conversation is at Gemini now, and stays there; Claude takes it all the same
    served = [understood(each).model.split("/")[0] for each in (second, third, fourth)]
    assert served == ["gemini", "gemini", "anthropic"]
    assert (first.model.split("/")[0], first.content[0].type) == ("anthropic", "thinking")
    assert second.headers["x-tooloo-attempts"] == "2"


def test_claude_goes_on_in_anothers_loop_of_tools(claude_first: Served) -> None:
    """It refuses to think there, where the turn begins with no thought of its own: that is left out, and named."""
    message = understood(send(claude_first, "gemini", recorded(1)))
    assert message.stop_reason == "tool_use"

    response = send(claude_first, "anthropic", [*recorded(1), *answered(message)])

    assert understood(response).stop_reason == "end_turn"
    assert dropped(response) == {"thinking"}


@pytest.mark.parametrize("model", PROVIDERS)
def test_its_tokens_are_counted(thoughtful: Served, model: str) -> None:
    common = {name: RECORDED["common"][name] for name in ("system", "tools", "thinking")}
    body = {"model": model, "messages": recorded(3), **common}
    url = f"{thoughtful.url}/v1/messages/count_tokens?beta=true"
    response = requests.post(url, json=body, headers=RECORDED["headers"], timeout=30)

    assert response.status_code == 200
    assert response.headers["x-tooloo-token-count"] == ("exact" if model == "anthropic" else "estimated")
    assert response.json()["input_tokens"] > 100

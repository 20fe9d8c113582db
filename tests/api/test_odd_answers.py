"""What a client of /v1 receives where a provider answers in a way of its own: real HTTP on both sides."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import openai
import pytest
import requests
from openai import OpenAI
from pydantic import BaseModel
from werkzeug.serving import make_server

from app import bootstrap
from app.api import create_app
from app.providers.client import Client, Pool
from tests.providers.server import Received, Server, chunked, whole
from tests.support.front import _Handler
from tests.support.system import ROOT, build

USER: Any = {"role": "user", "content": "hi"}
CALL: Any = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
AFTER_A_TOOL: Any = [
    USER,
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "ok"},
]
NOW: Any = {
    "type": "function",
    "function": {
        "name": "now",
        "strict": True,
        "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
    },
}
PLAIN_AND_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Front:
    url: str
    #: of format openai
    compat: Server
    #: of format anthropic
    claude: Server
    client: OpenAI

    def answers(self, message: dict[str, Any], reason: str = "stop") -> None:
        """`compat` says this, streamed where that is asked for: text, reasoning and refusal character by character."""

        def answer(request: Received) -> Any:
            if not request.json.get("stream"):
                return whole(200, {}, completion(message, reason))
            deltas = [{name: letter} for name, text in message.items() if isinstance(text, str) for letter in text]
            return chunked([*map(delta, deltas), delta({}, reason), DONE])

        self.compat.answer = answer

    def text(self, model: str, messages: Any, *, stream: bool) -> tuple[str, str | None]:
        """… and why it ended."""
        if stream:
            chunks = list(self.client.chat.completions.create(model=model, messages=messages, stream=True))
            return "".join(c.choices[0].delta.content or "" for c in chunks), chunks[-1].choices[0].finish_reason
        choice = self.client.chat.completions.create(model=model, messages=messages).choices[0]
        assert choice.message.content is not None
        return choice.message.content, choice.finish_reason


def completion(message: dict[str, Any], reason: str = "stop") -> bytes:
    return json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": reason}]}).encode()


def delta(piece: dict[str, Any], reason: str | None = None) -> bytes:
    document = {"choices": [{"index": 0, "delta": piece, "finish_reason": reason}]}
    return b"data: %b\n\n" % json.dumps(document).encode()


def calls(*pieces: dict[str, Any]) -> list[bytes]:
    return [delta({"tool_calls": [piece]}) for piece in pieces]


def event(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **fields}).encode())


def claude_says(*blocks: bytes, reason: str) -> list[bytes]:
    message = {"id": "m", "model": "c", "content": [], "usage": {"input_tokens": 5, "output_tokens": 1}}
    end = event("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": 3})
    return [event("message_start", message=message), *blocks, end, event("message_stop")]


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("odd")
    shutil.copytree(ROOT / "config", folder / "config", ignore=shutil.ignore_patterns("runtime.json"))
    with ExitStack() as stack:
        compat, claude = (stack.enter_context(Server(lambda _: [b""])) for _ in range(2))
        blocks = [
            f'[{name}]\nformat = "{wire}"\nbase_url = "{server.url}"\npriority = {place}\nmodels = ["m"]\n'
            for place, (name, wire, server) in enumerate(
                (("compat", "openai", compat), ("claude", "anthropic", claude)), 1
            )
        ]
        (folder / "config" / "providers.toml").write_text("\n".join(blocks))
        system = build(f"postgresql+psycopg2://postgres@/no?host={folder}", f"unix://{folder}/no.sock", folder)
        stack.callback(system.close)
        running = bootstrap.start(replace(system.services, client=Client(Pool(16))), seed=1)
        stack.callback(running.stop)
        served = make_server("127.0.0.1", 0, create_app(running), threaded=True, request_handler=_Handler)
        served.daemon_threads = True  # type: ignore[attr-defined]  # of socketserver
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        stack.callback(thread.join, 5)
        stack.callback(served.server_close)
        stack.callback(served.shutdown)
        url = f"http://127.0.0.1:{served.port}"
        sdk = stack.enter_context(OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=30))
        yield Front(url, compat, claude, sdk)


def test_a_streamed_call_without_arguments_is_parsed_by_the_sdk(front: Front) -> None:
    front.compat.answer = lambda _: chunked(
        [
            *calls({"index": 0, "id": "a", "type": "function", "function": {"name": "now", "arguments": ""}}),
            delta({}, "tool_calls"),
            DONE,
        ]
    )
    begun = event(
        "content_block_start", index=0, content_block={"type": "tool_use", "id": "t", "name": "now", "input": {}}
    )
    piece = event("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": ""})
    front.claude.answer = lambda _: chunked(claude_says(begun, piece, reason="tool_use"))
    for model in ("compat/m", "claude/m"):
        with front.client.chat.completions.stream(model=model, messages=[USER], tools=[NOW]) as stream:
            for _ in stream:
                pass
            choice = stream.get_final_completion().choices[0]
        assert choice.finish_reason == "tool_calls"
        assert [call.function.arguments for call in choice.message.tool_calls or ()] == ["{}"]


def test_parallel_calls_of_one_index_reach_the_client_apart(front: Front) -> None:
    pieces = [
        {"index": 0, "id": "", "function": {"name": name, "arguments": f'{{"city":"{city}"}}'}}
        for name, city in (("w", "Oslo"), ("w2", "Rome"))
    ]
    front.compat.answer = lambda _: chunked([*calls(*pieces), delta({}, "tool_calls"), DONE])
    with front.client.chat.completions.stream(model="compat/m", messages=[USER], tools=[NOW]) as stream:
        for _ in stream:
            pass
        made = stream.get_final_completion().choices[0].message.tool_calls or []
    assert [(call.function.name, call.function.arguments) for call in made] == [
        ("w", '{"city":"Oslo"}'),
        ("w2", '{"city":"Rome"}'),
    ]
    assert len({call.id for call in made}) == 2


def test_a_stream_without_its_last_word_ends_well_for_the_client(front: Front) -> None:
    front.compat.answer = lambda _: chunked([delta({"content": "Hel"}), delta({"content": "lo"}, "stop")])
    assert front.text("compat/m", [USER], stream=True) == ("Hello", "stop")


@PLAIN_AND_STREAMED
def test_halves_of_surrogate_pairs_never_cost_an_answer(front: Front, stream: bool) -> None:
    front.answers({"content": "\ud83d\ude00 \ud83d lone \ude00"})  # one half in each piece of the stream
    assert front.text("compat/m", [USER], stream=stream)[0] == "\U0001f600 \ufffd lone \ufffd"
    asked = {"message": "hi", "provider": "compat", "stream": stream}
    answer = requests.post(f"{front.url}/api/v1/chat", json=asked, timeout=30)
    last = answer.text.rpartition("data: ")[2] if stream else answer.text
    document = json.loads(last)
    assert answer.status_code == 200
    assert (document if stream else document["data"])["content"] == "\U0001f600 \ufffd lone \ufffd"


@PLAIN_AND_STREAMED
@pytest.mark.parametrize("reason", ["max_tokens", "MAX_TOKENS", "Length"])
def test_a_truncation_is_told_whoever_named_it(front: Front, reason: str, stream: bool) -> None:
    front.answers({"content": "So far"}, reason)
    assert front.text("compat/m", [USER], stream=stream) == ("So far", "length")


class Sum(BaseModel):
    n: int


@PLAIN_AND_STREAMED
def test_a_refusal_reaches_the_client_as_one(front: Front, stream: bool) -> None:
    front.answers({"refusal": "I will not."})
    chat = front.client.chat.completions
    if stream:
        with chat.stream(model="compat/m", messages=[USER], response_format=Sum) as streamed:
            for _ in streamed:
                pass
            choice: Any = streamed.get_final_completion().choices[0]
    else:
        choice = chat.parse(model="compat/m", messages=[USER], response_format=Sum).choices[0]
    assert (choice.finish_reason, choice.message.refusal, choice.message.parsed) == ("stop", "I will not.", None)
    assert not choice.message.content


@PLAIN_AND_STREAMED
def test_a_refusal_is_the_text_of_our_own_api(front: Front, stream: bool) -> None:
    front.answers({"refusal": "I will not."})
    asked = {"message": "hi", "provider": "compat", "stream": stream}
    text = requests.post(f"{front.url}/api/v1/chat", json=asked, timeout=30).text
    document = json.loads(text.rpartition("data: ")[2] if stream else text)
    assert (document if stream else document["data"])["content"] == "I will not."
    if stream:
        pieces = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")][:-1]
        assert "".join(piece["content"] for piece in pieces) == "I will not."


def test_a_stream_that_nobody_asked_for_is_read(front: Front) -> None:
    front.compat.answer = lambda _: chunked([delta({"content": "Hello"}), delta({}, "stop"), DONE])
    assert front.text("compat/m", [USER], stream=False) == ("Hello", "stop")


@PLAIN_AND_STREAMED
def test_nothing_to_add_is_an_answer(front: Front, stream: bool) -> None:
    front.answers({"content": ""})
    whole_one = {"type": "message", "content": [], "stop_reason": "end_turn", "usage": {}}
    front.claude.answer = lambda request: (
        chunked(claude_says(reason="end_turn"))
        if request.json.get("stream")
        else whole(200, {}, json.dumps(whole_one).encode())
    )
    for model in ("compat/m", "claude/m"):
        assert front.text(model, AFTER_A_TOOL, stream=stream) == ("", "stop")
    assert front.text("claude/m", [USER], stream=stream) == ("", "stop")


def test_another_limit_is_not_told_as_the_contexts(front: Front) -> None:
    error = {
        "message": "string too long. Expected a string with maximum length 40",
        "code": "string_above_max_length",
        "param": "messages[1].tool_calls[0].id",
    }
    front.compat.answer = lambda _: whole(400, {}, json.dumps({"error": error}).encode())
    with pytest.raises(openai.BadRequestError, match=r"messages\[1\]\.tool_calls\[0\]\.id") as refusal:
        front.client.chat.completions.create(model="compat/m", messages=[USER])
    assert (refusal.value.code, refusal.value.param) == ("invalid_request", "messages[1].tool_calls[0].id")
    error["param"] = "messages[0].content"
    with pytest.raises(openai.BadRequestError) as refusal:
        front.client.chat.completions.create(model="compat/m", messages=[USER])
    assert refusal.value.code == "context_length_exceeded"


@PLAIN_AND_STREAMED
def test_a_rate_limit_inside_a_200_is_one(front: Front, stream: bool) -> None:
    body = json.dumps({"error": {"code": 429, "message": "Provider returned error"}}).encode()
    front.compat.answer = lambda _: whole(200, {}, body)
    with pytest.raises(openai.RateLimitError):
        front.client.chat.completions.create(model="compat/m", messages=[USER], stream=stream)

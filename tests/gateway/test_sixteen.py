"""Sixteen faults of a provider, as a caller of the API sees them: real sockets, the shipped config, one caller.

Each has a primary that fails in its way and a secondary that is well. The answer is 60 words, compared word by word; a
part of it is never told as the whole, and what comes ends with a finish reason and [DONE] or with an error event.
No clock is asserted: a silent provider is silent until the test is over, so that only a limit of ours ends the wait,
and what does not end at all fails at DEADLINE_S, also where signs of life keep coming.
"""

from __future__ import annotations

import gzip
import http.client
import json
import logging
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from werkzeug.serving import make_server

from app import bootstrap
from app.api import create_app
from app.bootstrap import Running
from app.gateway.breakers import KEY
from app.providers.client import Client, Pool
from tests.providers.server import Hangup, Received, Server, chunked, whole
from tests.support.front import _Handler
from tests.support.system import ROOT, build
from tests.support.waiting import wait_until

WORDS = [f"word{number:02}" for number in range(60)]
TEXT = " ".join(WORDS)
USAGE = {"prompt_tokens": 10, "completion_tokens": 60, "total_tokens": 70}
#: s; ten times what the slowest of them takes on a machine that has time
DEADLINE_S = 45.0
NO_END = f"no end within {DEADLINE_S:g} s"
ASKED = [{"role": "user", "content": "Say the sixty words."}]


def event(**choice: Any) -> bytes:
    return f"data: {json.dumps({'choices': [{'index': 0, **choice}]})}\n\n".encode()


def word(number: int, words: list[str] = WORDS) -> bytes:
    return event(delta={"content": (" " if number else "") + words[number]})


def tool(**call: Any) -> bytes:
    return event(delta={"tool_calls": [{"index": 0, **call}]})


FINISH = event(delta={}, finish_reason="stop")
BILL = f"data: {json.dumps({'choices': [], 'usage': USAGE})}\n\n".encode()
DONE = b"data: [DONE]\n\n"


def words(start: int = 0, end: int = 60, of: list[str] = WORDS) -> list[bytes]:
    return [word(number, of) for number in range(start, end)]


def well(request: Received, of: list[str] = WORDS) -> Iterable[bytes]:
    if request.json.get("stream"):
        return chunked([*words(end=len(of), of=of), FINISH, BILL, DONE])
    said = {"choices": [{"message": {"content": " ".join(of)}, "finish_reason": "stop"}], "usage": USAGE}
    return whole(200, {"content-type": "application/json"}, json.dumps(said).encode())


def refuses(status: int, code: str = "", message: str = "no", **headers: str) -> Callable[[Received], Iterable[bytes]]:
    body = json.dumps({"error": {"message": message, "type": "an_error", "code": code or None}}).encode()
    return lambda _: whole(status, {"content-type": "application/json", **headers}, body)


@dataclass
class Provider:
    """Behaves as it is told, call by call; the last behaviour stays."""

    server: Server
    behaviours: list[Callable[[Received], Iterable[bytes]]] = field(default_factory=lambda: [well])

    def __post_init__(self) -> None:
        self.server.answer = self.answer

    def answer(self, request: Received) -> Iterable[bytes]:
        if request.method != "POST":
            return whole(200, {}, b"")
        behave = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
        return behave(request)

    @property
    def asked(self) -> list[Any]:
        return [each.json for each in self.server.received if each.method == "POST"]


@dataclass
class Seen:
    status: int
    text: str = ""
    arguments: str = ""
    model: str = ""
    finish: str | None = None
    done: bool = False
    error: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
    comments: int = 0

    @property
    def is_whole(self) -> bool:
        return self.done and self.error is None and self.finish is not None


@dataclass(frozen=True)
class Pair:
    url: str
    running: Running
    primary: Provider
    secondary: Provider

    def ask(self, *, stream: bool = True, model: str = "auto", **more: Any) -> Seen:
        headers = {"content-type": "application/json", **more.pop("headers", {})}
        body = {"model": model, "messages": ASKED, **more}
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=DEADLINE_S)
        with ended(connection):
            connection.request("POST", "/v1/chat/completions", json.dumps(body).encode(), headers)
            response = connection.getresponse()
            seen = Seen(response.status)
            if stream and response.status == 200:
                for line in response:
                    read(line, seen)
            else:
                plain(json.loads(response.read()), seen)
        return seen

    def ask_secondary(self) -> None:
        seen = self.ask(stream=False, model="secondary")
        assert (seen.status, seen.text) == (200, TEXT)


@contextmanager
def ended(connection: http.client.HTTPConnection) -> Iterator[None]:
    """What is done over the connection ends before DEADLINE_S, or the test fails there."""
    over = threading.Event()
    connection.connect()
    sock = connection.sock

    def end() -> None:
        over.set()
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(DEADLINE_S, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException):
        assert not over.is_set(), NO_END
        raise
    finally:
        timer.cancel()
        connection.close()
    assert not over.is_set(), NO_END


def read(line: bytes, seen: Seen) -> None:
    if line.startswith(b":"):
        seen.comments += 1
    elif line == DONE[:-1]:
        seen.done = True
    elif line.startswith(b"data: "):
        chunk = json.loads(line[6:])
        seen.error = chunk.get("error", seen.error)
        seen.usage = chunk.get("usage") or seen.usage
        seen.model = chunk.get("model", seen.model)
        for choice in chunk.get("choices", ()):
            seen.text += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls", ()):
                seen.arguments += call["function"]["arguments"]
            seen.finish = choice["finish_reason"] or seen.finish


def plain(document: dict[str, Any], seen: Seen) -> None:
    seen.error = document.get("error")
    if seen.error is None:
        choice = document["choices"][0]
        seen.text, seen.finish, seen.done = choice["message"]["content"], choice["finish_reason"], True
        seen.model, seen.usage = document["model"], document["usage"]


@contextmanager
def pair(database_url: str, redis_url: str, folder: Path, block: str = "", **policy: Any) -> Iterator[Pair]:
    shutil.copytree(ROOT / "config", folder / "config", ignore=shutil.ignore_patterns("runtime.json"))
    with ExitStack() as stack:
        servers = {name: stack.enter_context(Server(well)) for name in ("primary", "secondary")}
        blocks = [
            f'[{name}]\nformat = "openai"\nbase_url = "{server.url}"\npriority = {place}\nmodels = ["m"]\n{block}\n'
            for place, (name, server) in enumerate(servers.items(), 1)
        ]
        (folder / "config" / "providers.toml").write_text("\n".join(blocks))
        system = build(database_url, redis_url, folder)
        stack.callback(system.close)
        gateway = replace(system.services.policy.gateway, **policy)
        services = replace(
            system.services, client=Client(Pool(16)), policy=replace(system.services.policy, gateway=gateway)
        )
        running = bootstrap.start(services, seed=1)
        stack.callback(running.stop)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server = make_server("127.0.0.1", 0, create_app(running), threaded=True, request_handler=_Handler)
        server.daemon_threads = True  # type: ignore[attr-defined]  # of socketserver
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        stack.callback(thread.join, 5)
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        # the shipped exploration rate would let one request in ten begin at the secondary
        live = services.config.value
        services.config.value = live.model_copy(
            update={"global_": live.global_.model_copy(update={"exploration_rate": 0.0})}
        )
        yield Pair(
            f"http://127.0.0.1:{server.port}", running, Provider(servers["primary"]), Provider(servers["secondary"])
        )


@pytest.fixture
def two(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Pair]:
    """The shipped config; limits that would make a test wait are shorter by their keys."""
    with pair(database_url, redis_url, tmp_path, first_token_ms=1500, idle_ms=1000) as made:
        yield made


# what the primary does ---------------------------------------------------------------------------------------------


def limited_for(seconds: int) -> Callable[[Received], Iterable[bytes]]:
    """From its first call on: who comes back before the time is refused again."""
    until_s: list[float] = []

    def answer(request: Received) -> Iterable[bytes]:
        now_s = time.monotonic()
        if not until_s:
            until_s.append(now_s + seconds)
        return refuses(429, **{"retry-after": str(seconds)})(request) if now_s < until_s[0] else well(request)

    return answer


def resets(_: Received) -> Iterator[bytes]:
    raise Hangup(reset=True)
    yield b""


def silent(server: Server) -> Iterator[bytes]:
    server.closing.wait()
    yield from ()


def late_head(server: Server) -> Iterator[bytes]:
    def pieces() -> Iterator[bytes]:
        server.closing.wait()
        yield from words()

    yield from chunked(pieces())


def cut(at: int, then: Callable[[], None] | None = None) -> Callable[[Received], Iterator[bytes]]:
    def answer(_: Received) -> Iterator[bytes]:
        yield from chunked(words(0, at), end=False)
        if then is not None:
            then()
        raise Hangup

    return answer


def bad_event(_: Received) -> Iterator[bytes]:
    return chunked([*words(0, 20), b"data: {this is no JSON\n\n", *words(20), FINISH, BILL, DONE])


# the faults --------------------------------------------------------------------------------------------------------

#: fault: (the primary's behaviours, calls of the primary, who answers)
Case = tuple[Callable[[Server], list[Callable[[Received], Iterable[bytes]]]], int, str]
FAULTS: dict[str, Case] = {
    "S01 rate limited for 2 s, then well": (lambda _: [limited_for(2)], 2, "primary"),
    "S02 always rate limited": (lambda _: [refuses(429)], 1, "secondary"),
    "S03 a lone 500": (lambda _: [refuses(500), well], 2, "primary"),
    "S04 always 503": (lambda _: [refuses(503)], 1, "secondary"),
    "S05 a reset before any byte": (lambda _: [resets, well], 1, "secondary"),
    "S06 takes the request and says nothing": (lambda s: [lambda _: silent(s)], 1, "secondary"),
    "S07 a head, and no token": (lambda s: [lambda _: late_head(s)], 1, "secondary"),
    "S08 closes in the middle": (lambda _: [cut(40)], 1, "secondary"),
    "S09 falls silent in the middle": (lambda s: [cut(20, lambda: s.closing.wait() and None)], 1, "secondary"),
    "S10 an event that is no JSON": (lambda _: [bad_event], 1, "secondary"),
    "S11 no [DONE]": (lambda _: [lambda _: chunked([*words(), FINISH, BILL])], 1, "primary"),
    "S12 a context too long": (lambda _: [refuses(400, "context_length_exceeded")], 1, "secondary"),
    "S16 the caller reads who answered": (lambda _: [refuses(503)], 1, "secondary"),
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda name: name.split()[0])
def test_the_caller_gets_the_whole_answer(fault: str, two: Pair) -> None:
    behaves, calls, who = FAULTS[fault]
    two.primary.behaviours = behaves(two.primary.server)

    seen = two.ask()

    assert (seen.status, seen.text, seen.is_whole, seen.finish) == (200, TEXT, True, "stop")
    assert seen.model == f"{who}/m"
    assert seen.usage is not None
    assert seen.usage["completion_tokens"] == 60
    assert len(two.primary.asked) == calls
    two.ask_secondary()


def test_s13_a_refusal_by_a_filter_is_told_with_its_reason_and_asked_nowhere_else(two: Pair) -> None:
    two.primary.behaviours = [refuses(400, "content_policy_violation", "this was flagged as violence")]
    seen = two.ask()
    assert seen.status == 400
    assert seen.error is not None
    assert (seen.error["code"], "flagged as violence" in seen.error["message"]) == ("content_filter", True)
    assert (len(two.primary.asked), len(two.secondary.asked)) == (1, 0)


@pytest.mark.parametrize("stream", [True, False])
def test_a_policy_may_ask_others_what_one_filter_refused(
    database_url: str, redis_url: str, tmp_path: Path, stream: bool
) -> None:
    with pair(database_url, redis_url, tmp_path, filtered_elsewhere=True) as two:
        two.primary.behaviours = [refuses(400, "content_policy_violation")]
        assert two.ask(stream=stream).text == TEXT


def refuses_to_continue(request: Received) -> Iterable[bytes]:
    if request.json["messages"][-1]["role"] == "assistant":
        return refuses(400, message="the conversation must end with a user message")(request)
    return well(request)


def test_s14_a_secondary_that_refuses_to_continue_begins_anew(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with pair(database_url, redis_url, tmp_path, "prefill = true") as two:
        two.primary.behaviours, two.secondary.behaviours = [cut(40)], [refuses_to_continue]
        seen = two.ask()
        assert (seen.text, seen.is_whole) == (TEXT, True)
        assert [each["messages"][-1]["role"] for each in two.secondary.asked] == ["assistant", "user"]


def test_s15_a_provider_that_is_back_is_used_again(two: Pair) -> None:
    """The breaker's clock is tested apart; here that it is asked no more, and again when its time has come."""
    two.primary.behaviours = [refuses(503)]
    assert all(two.ask().text == TEXT for _ in range(6))
    assert len(two.primary.asked) == 3
    two.primary.behaviours = [well]
    breakers = two.running.gateway.breakers
    target = two.running.gateway.services.targets[0]
    breakers.stop()
    half_open = replace(breakers.value[target], open_until=breakers.value[target].opened_at)
    redis = two.running.gateway.services.redis
    redis.hset(KEY, str(target), json.dumps(half_open.to_json()))
    breakers.refresh(redis)
    assert [two.ask().model for _ in range(2)] == ["primary/m", "primary/m"]


# what a trick would get wrong --------------------------------------------------------------------------------------

OTHERS = [f"other{number:02}" for number in range(60)]
LOST = [*WORDS[:10], *WORDS[11:]]


def clean_error(seen: Seen) -> bool:
    return seen.status == 200 and seen.error is not None and not seen.done and seen.finish is None


@pytest.mark.parametrize("code", ["stream_cut"])
def test_an_answer_that_begins_differently_is_never_glued_on(code: str, two: Pair) -> None:
    two.primary.behaviours, two.secondary.behaviours = [cut(40)], [lambda request: well(request, OTHERS)]
    seen = two.ask()
    assert clean_error(seen)
    assert seen.error is not None
    assert (seen.text, seen.error["code"]) == (" ".join(WORDS[:40]), code)


def test_an_answer_with_a_lost_word_is_never_told_as_the_whole(two: Pair) -> None:
    two.primary.behaviours = [
        lambda _: chunked([*words(0, 10), b'data: {"choices":[{"delta":{"content":" wo\n\n', *words(11), FINISH, DONE])
    ]
    two.secondary.behaviours = [lambda request: well(request, OTHERS)]
    assert clean_error(two.ask())


def test_a_shorter_answer_that_begins_the_same_is_not_the_end_of_a_longer_one(two: Pair) -> None:
    two.primary.behaviours, two.secondary.behaviours = [cut(40)], [lambda request: well(request, WORDS[:30])]
    assert clean_error(two.ask())


@pytest.mark.parametrize("told", [True, False])
def test_a_cut_in_a_tool_call_is_never_mended(two: Pair, told: bool) -> None:
    begin = tool(id="call_1", type="function", function={"name": "f", "arguments": ""})
    half, rest = tool(function={"arguments": '{"city": "Par'}), tool(function={"arguments": 'is"}'})
    end = event(delta={}, finish_reason="tool_calls")

    def broken(_: Received) -> Iterator[bytes]:
        yield from chunked([*(words(0, 3) if told else []), begin, half], end=False)
        raise Hangup

    two.primary.behaviours = [broken]
    two.secondary.behaviours = [lambda _: chunked([*(words(0, 3) if told else []), begin, half, rest, end, DONE])]
    seen = two.ask(tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}])
    assert clean_error(seen)
    assert seen.arguments == '{"city": "Par'
    assert len(two.secondary.asked) == 0


@pytest.mark.parametrize("block", ["prefill = true", 'capabilities = { prefill = "continued" }'])
def test_a_target_that_is_known_to_continue_does(database_url: str, redis_url: str, tmp_path: Path, block: str) -> None:
    with pair(database_url, redis_url, tmp_path, block) as two:
        two.primary.behaviours = [cut(40)]
        two.secondary.behaviours = [lambda _: chunked([*words(40), FINISH, BILL, DONE])]
        seen = two.ask()
        assert (seen.text, seen.is_whole) == (TEXT, True)
        assert two.secondary.asked[0]["messages"][-1] == {"role": "assistant", "content": " ".join(WORDS[:40])}


def test_the_beginning_is_marked_and_goes_to_the_path_that_takes_it(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    can = 'capabilities = { prefill = "continued", prefill_mark = "prefix", prefill_path = "/beta" }'
    with pair(database_url, redis_url, tmp_path, can) as two:
        two.primary.behaviours = [cut(40)]
        two.secondary.behaviours = [lambda _: chunked([*words(40), FINISH, BILL, DONE])]
        seen = two.ask()
        assert (seen.text, seen.is_whole) == (TEXT, True)
        asked = next(each for each in two.secondary.server.received if each.method == "POST")
        assert asked.path == "/beta/chat/completions"
        assert asked.json["messages"][-1]["prefix"] is True


@pytest.mark.parametrize("asked", [{"n": 2}, {"logprobs": True}])
def test_several_answers_and_log_probabilities_are_not_continued(
    database_url: str, redis_url: str, tmp_path: Path, asked: dict[str, Any]
) -> None:
    can = "capabilities = { prefill = 'continued', n = true, logprobs = true }"
    with pair(database_url, redis_url, tmp_path, can) as two:
        two.primary.behaviours = [cut(40)]
        assert clean_error(two.ask(**asked))
        assert len(two.secondary.asked) == 0


def test_one_that_was_told_to_continue_and_begins_anew_is_not_glued_on(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with pair(database_url, redis_url, tmp_path, "prefill = true") as two:
        two.primary.behaviours = [cut(40)]
        seen = two.ask()
        assert (seen.text, seen.is_whole, len(two.secondary.asked)) == (TEXT, True, 2)


@pytest.mark.parametrize("at", [40, 3])
def test_whole_answers_only_are_whole_whatever_the_models(two: Pair, at: int) -> None:
    two.primary.behaviours, two.secondary.behaviours = [cut(at)], [lambda request: well(request, OTHERS)]
    seen = two.ask(headers={"x-tooloo-whole-answers": "true"})
    assert (seen.text, seen.is_whole, seen.model) == (" ".join(OTHERS), True, "secondary/m")


def test_a_header_that_says_neither_is_refused(two: Pair) -> None:
    seen = two.ask(headers={"x-tooloo-whole-answers": "perhaps"})
    assert seen.status == 400
    assert seen.error is not None
    assert seen.error["param"] == "x-tooloo-whole-answers"


def test_whole_answers_keep_the_line_alive(database_url: str, redis_url: str, tmp_path: Path) -> None:
    with pair(database_url, redis_url, tmp_path, whole_answers=True, heartbeat_ms=50) as two:
        server = two.primary.server
        two.primary.behaviours = [
            lambda _: chunked(
                p for part in (server.trickle(b": x\n\n", times=20), words(), [FINISH, DONE]) for p in part
            )
        ]
        seen = two.ask()
        assert (seen.text, seen.is_whole) == (TEXT, True)
        assert seen.comments > 0


def test_blanks_are_no_answer(two: Pair) -> None:
    server = two.primary.server
    blank = event(delta={"role": "assistant", "content": " "})
    two.primary.behaviours = [lambda _: chunked(server.trickle(blank, every_s=0.1))]
    seen = two.ask()
    assert (seen.text, seen.is_whole, seen.model) == (TEXT, True, "secondary/m")


def test_reasoning_that_breaks_off_before_a_word_costs_nothing(two: Pair) -> None:
    def thinks(_: Received) -> Iterator[bytes]:
        yield from chunked([event(delta={"role": "assistant", "reasoning_content": "Hm."})] * 3, end=False)
        raise Hangup

    two.primary.behaviours, two.secondary.behaviours = [thinks], [lambda request: well(request, OTHERS)]
    seen = two.ask()
    assert (seen.text, seen.is_whole, seen.model) == (" ".join(OTHERS), True, "secondary/m")


def test_who_waits_for_a_first_token_is_given_signs_of_life(database_url: str, redis_url: str, tmp_path: Path) -> None:
    with pair(database_url, redis_url, tmp_path, heartbeat_ms=50, first_token_ms=400) as two:
        two.primary.behaviours = [lambda _: silent(two.primary.server)]
        seen = two.ask()
        assert (seen.text, seen.is_whole, seen.model) == (TEXT, True, "secondary/m")
        assert seen.comments > 0


@pytest.mark.parametrize(("encoding", "status"), [("gzip", 200), ("identity", 200), ("br", 400)])
def test_a_compressed_request_is_answered(encoding: str, status: int, two: Pair) -> None:
    body = json.dumps({"model": "auto", "messages": ASKED}).encode()
    sent = gzip.compress(body) if encoding == "gzip" else body
    connection = http.client.HTTPConnection(urlsplit(two.url).netloc, timeout=20)
    headers = {"content-type": "application/json", "content-encoding": encoding}
    connection.request("POST", "/v1/chat/completions", sent, headers)
    assert connection.getresponse().status == status
    connection.close()


def test_a_target_that_answers_nobody_is_left_alone_while_its_callers_still_wait(two: Pair) -> None:
    two.primary.behaviours = [lambda _: silent(two.primary.server)]
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(two.ask) for _ in range(3)]
        target = two.running.gateway.services.targets[0]
        in_flight = two.running.gateway.breakers.in_flight
        wait_until(lambda: in_flight.hangs(target, stream=True, unknown_ms=750))
        assert two.ask().model == "secondary/m"
        assert len(two.primary.asked) == 3
        assert [each.result().text for each in waiting] == [TEXT] * 3

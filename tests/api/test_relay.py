"""Streams that have begun take no thread of an API process, and lose nothing by it; real sockets, the real server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from app.api.relay import AT_ONCE, Relay, Relayed
from tests.api.test_edge import BODY_WAIT_S, serving
from tests.gateway.test_sixteen import BILL, DONE, FINISH, TEXT, well, word, words
from tests.providers.server import Hangup, Received, Server, chunked
from tests.support.waiting import wait_until

STREAMS = 40


def block(name: str, server: Server, priority: int) -> str:
    return f'[{name}]\nformat = "openai"\nbase_url = "{server.url}"\nmodels = ["m"]\npriority = {priority}\n'


def asked(url: str, model: str = "auto", path: str = "/v1/chat/completions") -> Iterator[str]:
    """The lines of a stream."""
    body = {"model": model, "stream": True, "max_tokens": 500, "messages": [{"role": "user", "content": "sixty words"}]}
    with requests.post(f"{url}{path}", json=body, stream=True, timeout=60) as answer:
        assert answer.status_code == 200
        yield from answer.iter_lines(decode_unicode=True)


def text_of(lines: Iterable[str]) -> str:
    """… of OpenAI's format, that ends well."""
    events = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    assert events[-1] == "[DONE]", events[-1]
    said = [json.loads(event)["choices"] for event in events[:-1]]
    return "".join(choices[0]["delta"].get("content") or "" for choices in said if choices)


def threads() -> int:
    """Of all processes under this one."""
    return sum(each.num_threads() for each in psutil.Process().children(recursive=True))


def test_streams_that_have_begun_hold_no_threads_and_all_come_whole(tmp_path: Path) -> None:
    go_on, begun = threading.Event(), threading.Semaphore(0)

    def answer(request: Received) -> Iterable[bytes]:
        if not request.json.get("stream"):
            return well(request)

        def pieces() -> Iterator[bytes]:
            yield from words(end=3)
            begun.release()
            go_on.wait(60)
            yield from [*words(start=3), FINISH, BILL, DONE]

        return chunked(pieces())

    with (
        Server(answer) as provider,
        serving(tmp_path, BODY_WAIT_S, providers=block("only", provider, 1)) as url,
        ThreadPoolExecutor(2 * STREAMS) as pool,
    ):
        texts = [pool.submit(lambda: text_of(asked(url))) for _ in range(STREAMS)]
        for _ in range(STREAMS):
            assert begun.acquire(timeout=60)
        held = threads()
        plain = list(pool.map(lambda _: requests.get(f"{url}/healthz", timeout=60).status_code, range(STREAMS)))
        assert plain == [200] * STREAMS
        assert threads() <= held + 2, "requests beside open streams find threads that those have left"
        go_on.set()
        assert [each.result(60) for each in texts] == [TEXT] * STREAMS


@pytest.mark.parametrize("way", ["cut", "silent"])
def test_one_that_breaks_off_is_rescued(tmp_path: Path, way: str) -> None:
    """Whoever is asked for a stream first breaks it off."""
    broken = threading.Event()

    def answer(request: Received) -> Iterable[bytes]:
        if not request.json.get("stream") or broken.is_set():
            return well(request)
        broken.set()
        return chunked(pieces())

    def pieces() -> Iterator[bytes]:
        for number in range(10):
            yield word(number)
            one.closing.wait(0.02)
        if way == "silent":
            yield from one.silence()
        raise Hangup

    with Server(answer) as one, Server(answer) as other:
        blocks = block("one", one, 1) + block("other", other, 2)
        with serving(tmp_path, BODY_WAIT_S, providers=blocks, policy="idle_ms = 1000\n") as url:
            assert text_of(asked(url)) == TEXT
            assert broken.is_set()


def test_who_waits_in_the_middle_gets_signs_of_life(tmp_path: Path) -> None:
    def pauses(request: Received) -> Iterable[bytes]:
        if not request.json.get("stream"):
            return well(request)

        def pieces() -> Iterator[bytes]:
            yield from words(end=3)
            provider.closing.wait(1.5)
            yield from [*words(start=3), FINISH, BILL, DONE]

        return chunked(pieces())

    with (
        Server(pauses) as provider,
        serving(tmp_path, BODY_WAIT_S, providers=block("only", provider, 1), policy="heartbeat_ms = 300\n") as url,
    ):
        lines = list(asked(url))
        assert text_of(lines) == TEXT
        assert lines.count(": waiting") >= 2


def test_the_call_ends_when_the_client_leaves(tmp_path: Path) -> None:
    def endless(request: Received) -> Iterable[bytes]:
        return chunked(provider.trickle(word(1))) if request.json.get("stream") else well(request)

    with Server(endless) as provider, serving(tmp_path, BODY_WAIT_S, providers=block("only", provider, 1)) as url:
        lines = asked(url)
        assert next(lines).startswith("data: ")
        lines.close()  # type: ignore[attr-defined]  # a generator
        assert provider.deserted.wait(20)


class Ready:
    """A source of a Relayed that has nothing to be polled."""

    waits_for = None

    def relay(self) -> bool:
        return True

    def wait(self) -> None: ...


def relayed(pieces: Iterator[bytes], *, is_read: bool = True) -> tuple[Relayed, bytes]:
    """At its end, and what was sent."""
    ended, sent = list[Relayed](), list[bytes]()

    def send(data: bytes) -> bool:
        sent.append(data)
        return is_read

    Relay().take(Relayed(Ready(), pieces, send, ended.append))
    wait_until(lambda: ended, 30, what="the rest is a thread's")
    return ended[0], b"".join(sent)


def test_more_than_goes_at_once_is_sent_in_turns() -> None:
    ended, sent = relayed(iter([b"x"] * (3 * AT_ONCE + 1)))
    assert sent == b"x" * (3 * AT_ONCE + 1)
    assert ended.is_read
    assert ended.raised is None


def test_what_the_pieces_raise_is_left_to_the_thread_behind_what_came_before() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"said"
        raise ZeroDivisionError

    ended, sent = relayed(pieces())
    assert sent == b"said"
    assert isinstance(ended.raised, ZeroDivisionError)


def test_it_is_over_when_nobody_reads() -> None:
    ended, sent = relayed(iter([b"x"] * (2 * AT_ONCE)), is_read=False)
    assert not ended.is_read
    assert len(sent) == AT_ONCE

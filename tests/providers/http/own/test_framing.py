"""HTTP/1.1 as servers speak it, and as they misspeak it: what is read, and which connections are used again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from app.errors import (
    ConnectionLost,
    ContextTooLong,
    LocalFailure,
    ProviderError,
    StreamCut,
    Timeout,
    UnusableAnswer,
)
from app.providers.base import ChatRequest, Message
from app.providers.client import Client, Pool
from app.providers.http import framing
from app.providers.http.clock import Call
from tests.providers.calls import HELLO, ask, endpoint
from tests.providers.http.own.conftest import PLAIN
from tests.providers.server import Hangup, Server, chunked, head, whole

SAID = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
DONE = b"data: [DONE]\n\n"


def said(client: Client, server: Server) -> str:
    return ask(client, endpoint(server.url), stream=False)[0].text


def response(*lines: bytes, body: bytes = PLAIN, version: bytes = b"HTTP/1.1") -> bytes:
    return b"\r\n".join([version + b" 200 OK", *lines, b"", body])


LENGTH = b"Content-Length: %d" % len(PLAIN)
CHUNKED = b"Transfer-Encoding: chunked"
AS_CHUNK = b"%x\r\n%b\r\n" % (len(PLAIN), PLAIN)


@pytest.mark.parametrize(
    "sent",
    [
        response(LENGTH),
        response(b"CONTENT-LENGTH:%d" % len(PLAIN)),
        response(CHUNKED, body=AS_CHUNK + b"0\r\n\r\n"),
        response(CHUNKED, body=b"%X;note=1\r\n%b\r\n0\r\nX-Trailer: 1\r\n\r\n" % (len(PLAIN), PLAIN)),
        b"HTTP/1.1 100 Continue\r\n\r\n" + response(LENGTH),
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nContent-Length: 9\r\n\r\n" + response(LENGTH),
        response(LENGTH, b"Connection: keep-alive", version=b"HTTP/1.0"),
        # not as it should be, and yet there is one way to read it
        response(LENGTH).replace(b"\r\n", b"\n"),
        response(b"Content-Length: 3", CHUNKED, body=AS_CHUNK + b"0\r\n\r\n"),
        response(CHUNKED, body=b"%x  \r\n%b\r\n0\r\n\r\n" % (len(PLAIN), PLAIN)),
    ],
)
def test_an_answer_is_read_and_its_connection_kept(sent: bytes, client: Client, server: Server) -> None:
    server.answer = lambda _: [sent]
    assert said(client, server) == "Hi"
    server.answer = lambda _: [sent[place : place + 1] for place in range(len(sent))]
    assert said(client, server) == "Hi"
    assert server.connections == 1


@pytest.mark.parametrize(
    "sent",
    [
        response(LENGTH, b"Connection: close"),
        response(LENGTH, version=b"HTTP/1.0"),
        response(LENGTH, body=PLAIN + b"more"),
        response(LENGTH, body=PLAIN + response(LENGTH)),  # an answer to nothing
        response(CHUNKED, body=AS_CHUNK + b"0\r\n\r\nmore"),
        response(LENGTH, b"Connection: Keep-Alive, close"),
    ],
)
def test_a_connection_that_cannot_be_trusted_is_not_used_again(sent: bytes, client: Client, server: Server) -> None:
    server.answer = lambda _: [sent]
    assert [said(client, server) for _ in range(2)] == ["Hi", "Hi"]
    assert server.connections == 2


@pytest.mark.parametrize("sent", [response(), response(b"Transfer-Encoding: identity")])
def test_an_answer_without_a_length_ends_with_its_connection(sent: bytes, client: Client, server: Server) -> None:
    def closes(_: object) -> Iterator[bytes]:
        yield sent
        raise Hangup

    server.answer = closes
    assert [said(client, server) for _ in range(2)] == ["Hi", "Hi"]
    assert server.connections == 2


def test_an_unasked_word_on_an_idle_connection_ends_it(client: Client, server: Server) -> None:
    idle, told = threading.Event(), threading.Event()

    def talks(_: object) -> Iterator[bytes]:
        yield response(LENGTH)
        idle.wait(10)
        yield b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
        told.set()

    server.answer = talks
    assert said(client, server) == "Hi"
    idle.set()
    assert told.wait(10)
    server.answer = lambda _: whole(200, {}, PLAIN)
    assert said(client, server) == "Hi"
    assert server.connections == 2


def test_what_began_behind_an_answer_is_not_the_begin_of_the_next(client: Client, server: Server) -> None:
    begun = b"HTTP/1.1 401 No\r\nX: "  # which would make a header of the next answer's first line
    server.answer = lambda _: [response(LENGTH) + begun]
    assert [said(client, server) for _ in range(2)] == ["Hi", "Hi"]
    assert server.connections == 2


@pytest.mark.parametrize(
    ("sent", "connections"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\n\r\n", 1),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n", 1),
        (b"HTTP/1.1 200 OK\r\nConnection: Keep-Alive, Close\r\n\r\n", 2),
        (b"HTTP/1.0 200 OK\r\n\r\n", 2),
    ],
)
def test_after_a_head_request_the_connection_is_what_both_made_it(
    sent: bytes, connections: int, client: Client, server: Server
) -> None:
    server.answer = lambda _: [sent]
    for _ in range(2):
        assert client.warm_up(endpoint(server.url)) is None
    assert server.connections == connections


def test_of_a_head_request_no_body_is_awaited(client: Client, server: Server) -> None:
    server.answer = lambda _: [head(200, {"content-length": "99"})]
    assert client.warm_up(endpoint(server.url)) is None
    server.answer = lambda _: whole(200, {}, PLAIN)
    assert said(client, server) == "Hi"
    assert server.connections == 1


@pytest.mark.parametrize(
    ("sent", "kind", "told"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", UnusableAnswer, "not HTTP"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx", UnusableAnswer, "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 300_000, UnusableAnswer, "of the answer is longer"),
        (response(CHUNKED, body=AS_CHUNK + b"0\r\nX: " + b"x" * 400_000), UnusableAnswer, "of the answer is longer"),
        (response(b"Content-Length: 12 apples"), UnusableAnswer, "not HTTP"),
        (response(CHUNKED, body=b"apples\r\n"), ConnectionLost, "framing is broken"),
    ],
)
def test_what_is_no_answer_is_told(
    sent: bytes, kind: type[ProviderError], told: str, client: Client, server: Server
) -> None:
    server.answer = lambda _: [sent]
    with pytest.raises(ProviderError, match=told) as caught:
        said(client, server)
    assert type(caught.value) is kind


def test_a_stream_whose_framing_breaks_is_cut(client: Client, server: Server) -> None:
    server.answer = lambda _: [*chunked([SAID], end=False), b"apples\r\n"]
    with pytest.raises(StreamCut, match="framing is broken"):
        ask(client, endpoint(server.url), stream=True)


def test_headers_of_the_same_name_are_one(client: Client, server: Server) -> None:
    server.answer = lambda _: [response(LENGTH, b"X-RateLimit-A: 1", b"x-ratelimit-a: 2")]
    assert ask(client, endpoint(server.url), stream=False)[0].rate_limits == {"x-ratelimit-a": "1, 2"}


def test_a_url_is_asked_for_as_it_stands(client: Client, server: Server) -> None:
    ask(client, endpoint(f"{server.url}/a b/ü%20?ü b"), stream=False)
    asked = server.received[-1]
    assert asked.path.startswith("/a%20b/%C3%BC%20?%C3%BC%20b")
    assert asked.headers["host"] == urlsplit(server.url).netloc


@pytest.mark.parametrize("url", ["http://[::1/", "http://a:b/", "http://a:65536/", "http://a/\ud800", "http:///x"])
def test_a_url_that_is_none_is_told(url: str) -> None:
    with Pool(1) as pool, pytest.raises(LocalFailure):
        framing.send(pool, Call(1000), "GET", url, {}, None)


@pytest.mark.parametrize("value", ["a\r\nX-Other: 1", "a\nb", "a\r", "\u20ac"])
def test_a_header_that_is_none_is_not_sent(value: str, server: Server) -> None:
    with Pool(1) as pool, pytest.raises(LocalFailure, match="header of the request"):
        framing.send(pool, Call(1000), "GET", server.url, {"x-key": value}, None)
    assert server.connections == 0


def test_a_long_request_arrives_whole(client: Client, server: Server) -> None:
    text = "word " * 500_000
    ask(client, endpoint(server.url), ChatRequest((Message("user", text),)), stream=False)
    assert server.received[-1].json["messages"][0]["content"] == text


def test_a_refusal_of_a_request_that_is_not_read_to_its_end_is_heard(client: Client) -> None:
    def refuses(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        with sock:
            sock.recv(1000)
            sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}")

    huge = ChatRequest((Message("user", "x" * 32_000_000),))  # more than the kernel holds for a reader
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=refuses, args=(listener,)).start()
        with pytest.raises(ContextTooLong):
            ask(client, endpoint(f"http://127.0.0.1:{listener.getsockname()[1]}"), huge, stream=False)


def test_a_request_that_nobody_takes_ends_at_the_deadline(client: Client) -> None:
    huge = ChatRequest((Message("user", "x" * 32_000_000),))  # more than the kernel holds for a reader
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(Timeout) as caught:
        client.complete(endpoint(f"http://127.0.0.1:{mute.getsockname()[1]}"), "m", huge, timeout_ms=300)
    assert caught.value.phase == "total"


def test_more_connections_than_the_pool_keeps_are_closed(server: Server) -> None:
    together = threading.Barrier(2)
    with Pool(1) as pool:
        client = Client(pool)

        def both(_: object) -> list[bytes]:
            together.wait(10)
            return whole(200, {}, PLAIN)

        server.answer = both
        threads = [threading.Thread(target=said, args=(client, server)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        server.answer = lambda _: whole(200, {}, PLAIN)
        assert client.complete(endpoint(server.url), "m", HELLO, timeout_ms=20_000).text == "Hi"
    assert server.connections == 2

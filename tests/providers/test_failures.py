"""What networks do: every failure ends in one of our errors, in time, with the time it took. Nothing foreign leaks."""

from __future__ import annotations

import errno
import inspect
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator

import pytest

from app.errors import (
    ConnectionLost,
    LocalFailure,
    ProviderError,
    RateLimited,
    StreamCut,
    Timeout,
    UnusableAnswer,
)
from app.providers.client import Client
from app.providers.http import framing as ours
from app.providers.http.clock import Call
from app.providers.http.connections import failure
from tests.providers.calls import HELLO, ask, endpoint
from tests.providers.server import Hangup, Server, chunked, head, whole
from tests.support.ports import free_port
from tests.support.waiting import wait_until

PLAIN_AND_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
SAID = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
THOUGHT = b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"Hm"}}]}\n\n'
ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
ENOUGH = [SAID, b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n', b"data: [DONE]\n\n"]
PLAIN = b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}'
#: a server that keeps a call busy does so for ten seconds, and then answers: a call that outlives its deadline succeeds
DEADLINE_MS = 250


def hang_up(pieces: Iterable[bytes], *, reset: bool) -> Iterator[bytes]:
    yield from pieces
    raise Hangup(reset=reset)


def trickled_head(server: Server) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    yield from server.trickle(b"x-still: busy\r\n", times=90)
    yield from server.trickle(b"x", times=400)
    yield b": 1\r\ncontent-length: %d\r\n\r\n%b" % (len(PLAIN), PLAIN)


def trickled_body(server: Server) -> Iterator[bytes]:
    yield head(200, {"content-length": str(len(PLAIN) + 500)})
    yield from server.trickle(b" ")
    yield PLAIN


def trickled_chunk_size(server: Server) -> Iterator[bytes]:
    yield head(200, {"transfer-encoding": "chunked"})
    yield from server.trickle(b"0", times=500)
    yield b"%x\r\n%b\r\n0\r\n\r\n" % (len(PLAIN), PLAIN)


@pytest.mark.parametrize("answer", [trickled_head, trickled_body, trickled_chunk_size])
def test_plain_answer_that_trickles_ends_at_its_deadline(answer: object, client: Client, server: Server) -> None:
    server.answer = lambda _: answer(server)  # type: ignore[operator]  # one of the generators above
    with pytest.raises(Timeout) as caught:
        ask(client, endpoint(server.url), stream=False, timeout_ms=DEADLINE_MS)
    assert caught.value.phase == "total"


def streams(server: Server, *, first: list[bytes], then: bytes) -> Iterator[bytes]:
    return chunked(piece for part in (first, server.trickle(then), ENOUGH) for piece in part)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ([], b": keep-alive\n\n"),  # DeepSeek, while it queues
        ([], b"\n"),
        ([ROLE], b": keep-alive\n\n"),
        ([SAID], SAID),  # an answer that never ends
        ([SAID], b": keep-alive\n\n"),
        ([SAID], b"x"),  # a line that never ends
    ],
)
def test_stream_that_trickles_ends_at_its_deadline(
    first: list[bytes], then: bytes, client: Client, server: Server
) -> None:
    server.answer = lambda _: streams(server, first=first, then=then)
    with pytest.raises(Timeout) as caught:
        ask(client, endpoint(server.url), stream=True, timeout_ms=DEADLINE_MS)
    assert caught.value.phase == "total"
    assert caught.value.timing is not None
    assert caught.value.timing.total_ms >= DEADLINE_MS
    assert (caught.value.timing.first_token_ms is not None) is (SAID in first)


@pytest.mark.parametrize("first", [[], [head(200, {"content-length": "9"})]], ids=["nothing", "head"])
@PLAIN_AND_STREAMED
def test_silence_ends_at_the_deadline(first: list[bytes], stream: bool, client: Client, server: Server) -> None:
    server.answer = lambda _: (piece for part in (first, server.silence()) for piece in part)
    with pytest.raises(Timeout) as caught:
        ask(client, endpoint(server.url), stream=stream, timeout_ms=DEADLINE_MS)
    assert caught.value.phase == "total"


def test_first_token_has_a_deadline_of_its_own(client: Client, server: Server) -> None:
    server.answer = lambda _: streams(server, first=[ROLE], then=b": keep-alive\n\n")
    with pytest.raises(Timeout) as caught:
        ask(client, endpoint(server.url), stream=True, first_token_ms=DEADLINE_MS)
    assert caught.value.phase == "first_token"


@pytest.mark.parametrize("begin", [SAID, THOUGHT], ids=["text", "reasoning"])
def test_answer_that_has_begun_has_the_whole_time(begin: bytes, client: Client, server: Server) -> None:
    late = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield begin
        late.wait(10)
        yield from ENOUGH

    server.answer = lambda _: chunked(pieces())
    stream = client.stream(endpoint(server.url), "m", HELLO, timeout_ms=20_000, first_token_ms=1000)
    deltas = iter(stream)
    next(deltas)
    wait_until(lambda: stream._exchange.call.elapsed_ms() > 1000)
    late.set()
    assert [delta.text for delta in deltas] == ["Hi"]


def test_reasoning_is_not_the_first_token(client: Client, server: Server) -> None:
    said = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield THOUGHT
        said.wait(10)
        yield from ENOUGH

    server.answer = lambda _: chunked(pieces())
    stream = client.stream(endpoint(server.url), "m", HELLO, timeout_ms=20_000)
    for delta in stream:
        if delta.reasoning:
            before_ms = stream._exchange.call.elapsed_ms()
            said.set()
    assert stream.answer.timing.first_token_ms is not None
    assert stream.answer.timing.first_token_ms > before_ms


@PLAIN_AND_STREAMED
def test_connection_that_is_never_made_times_out_as_such(stream: bool, client: Client) -> None:
    # the kernel completes TCP's handshake for a full backlog never read from; TLS's waits in vain
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(Timeout) as caught:
        ask(client, endpoint(f"https://127.0.0.1:{mute.getsockname()[1]}"), stream=stream, timeout_ms=DEADLINE_MS)
    assert caught.value.phase == "connect"
    assert caught.value.timing is not None
    assert caught.value.timing.connect_ms >= DEADLINE_MS / 2


@PLAIN_AND_STREAMED
def test_refused_connection_is_lost(stream: bool, client: Client) -> None:
    with pytest.raises(ConnectionLost) as caught:
        ask(client, endpoint(f"http://127.0.0.1:{free_port()}"), stream=stream)
    assert type(caught.value) is ConnectionLost
    assert caught.value.counts


def test_network_of_ours_that_has_no_way_there_is_not_held_against_the_provider(client: Client) -> None:
    with pytest.raises(LocalFailure) as caught:
        ask(client, endpoint("http://255.255.255.255:9"), stream=False)  # no route ever leads to the broadcast address
    assert not caught.value.counts


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
@pytest.mark.parametrize(
    ("sent", "stream", "kind"),
    [
        ([], False, ConnectionLost),  # before an answer
        ([], True, ConnectionLost),
        ([b"HTTP/1.1 20"], False, ConnectionLost),  # in the status line
        ([b"HTTP/1.1 200 OK\r\ncontent-le"], False, ConnectionLost),  # in the head
        ([head(200, {"content-length": "99"}), PLAIN[:9]], False, ConnectionLost),  # in a plain body
        ([head(200, {"transfer-encoding": "chunked"}), b"ff\r\n{"], False, ConnectionLost),
        (list(chunked([SAID], end=False)), True, StreamCut),  # between two events
        (list(chunked([SAID[:20]], end=False)), True, StreamCut),  # in an event
        ([head(200, {"content-type": "text/event-stream"}), SAID], True, StreamCut),  # where closing is the framing
    ],
)
def test_connection_lost_on_the_way_says_where(
    sent: list[bytes], stream: bool, kind: type[ProviderError], reset: bool, client: Client, server: Server
) -> None:
    server.answer = lambda _: hang_up(sent, reset=reset)
    with pytest.raises(ProviderError) as caught:
        ask(client, endpoint(server.url), stream=stream)
    # a reset may overtake what was sent before it
    assert type(caught.value) is kind or (reset and type(caught.value) is ConnectionLost)
    assert caught.value.timing is not None


def test_refusal_counts_by_its_status_though_its_body_is_cut(client: Client, server: Server) -> None:
    server.answer = lambda _: hang_up([head(429, {"content-length": "99", "retry-after": "3"}), b'{"er'], reset=False)
    with pytest.raises(RateLimited) as caught:
        ask(client, endpoint(server.url), stream=False)
    assert caught.value.retry_after_s == 3.0


@PLAIN_AND_STREAMED
def test_redirect_is_not_followed(stream: bool, client: Client, server: Server) -> None:
    server.answer = lambda _: whole(302, {"location": f"{server.url}/elsewhere"}, b"")
    before = len(server.received)
    with pytest.raises(ProviderError, match="base_url"):
        ask(client, endpoint(server.url), stream=stream)
    assert len(server.received) == before + 1


def test_answer_longer_than_we_take_is_refused(client: Client, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "MAX_ANSWER", 1000)
    server.answer = lambda _: whole(200, {}, b" " * 1000 + PLAIN)
    with pytest.raises(UnusableAnswer, match="longer than"):
        ask(client, endpoint(server.url), stream=False)


def test_reader_who_is_too_slow_is_not_the_providers_fault(client: Client, server: Server) -> None:
    server.answer = lambda _: streams(server, first=[SAID], then=SAID)
    stream = client.stream(endpoint(server.url), "m", HELLO, timeout_ms=DEADLINE_MS)
    deltas = iter(stream)
    next(deltas)
    wait_until(lambda: stream._exchange.call.left_s < 0)
    with pytest.raises(LocalFailure):
        next(deltas)


def test_reader_who_was_inside_for_a_moment_does_not_excuse_a_provider_that_drips() -> None:
    call = Call(timeout_ms=100)
    wait_until(lambda: call.left_s < 0)

    call.check_reader(away_s=0.005)
    with pytest.raises(LocalFailure):
        call.check_reader(away_s=0.05)


def test_closed_stream_stops_the_call(client: Client, server: Server) -> None:
    server.deserted.clear()
    server.answer = lambda _: streams(server, first=[SAID], then=SAID)
    with client.stream(endpoint(server.url), "m", HELLO, timeout_ms=20_000) as stream:
        assert next(iter(stream)).text == "Hi"
    assert server.deserted.wait(10)
    with pytest.raises(RuntimeError):
        _ = stream.answer


def test_stream_closed_by_another_thread_wakes_its_reader(client: Client, server: Server) -> None:
    # were it not woken, it would read to the end
    server.answer = lambda _: chunked(piece for part in ([SAID], server.silence(), ENOUGH) for piece in part)
    stream = client.stream(endpoint(server.url), "m", HELLO, timeout_ms=20_000)
    deltas = iter(stream)
    next(deltas)

    def close_while_it_is_read() -> None:
        wait_until(lambda: inspect.getgeneratorstate(stream._deltas) == inspect.GEN_RUNNING)
        stream.close()

    threading.Thread(target=close_while_it_is_read).start()
    with pytest.raises(StreamCut):
        next(deltas)


def test_stream_that_was_closed_gives_nothing_more(client: Client, server: Server) -> None:
    server.answer = lambda _: chunked(ENOUGH)
    stream = client.stream(endpoint(server.url), "m", HELLO, timeout_ms=20_000)
    stream.close()
    stream.close()
    assert list(stream) == []


def refused(number: int) -> OSError:
    return OSError(number, "reason")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "try again"), LocalFailure),
        (refused(errno.ECONNREFUSED), ConnectionLost),
        (refused(errno.ENETUNREACH), LocalFailure),
        (refused(errno.EHOSTUNREACH), LocalFailure),
        (refused(errno.EMFILE), LocalFailure),  # too many open files
        (refused(errno.EADDRNOTAVAIL), LocalFailure),  # out of ports
        (refused(errno.ECONNRESET), ConnectionLost),
        (refused(errno.ENETDOWN), LocalFailure),
        (BrokenPipeError(), ConnectionLost),
        (TimeoutError(), Timeout),
        (ssl.SSLError(errno.EACCES, "a number of TLS's own"), ConnectionLost),
        (ssl.SSLCertVerificationError("certificate verify failed"), ConnectionLost),
    ],
)
def test_what_a_socket_raises_becomes_ours(error: OSError, kind: type[ProviderError]) -> None:
    assert type(failure(error, Call(1000), ConnectionLost, "no connection")) is kind


def test_a_name_that_nobody_knows_is_not_held_against_the_provider(client: Client) -> None:
    with pytest.raises(LocalFailure, match="name cannot be resolved"):
        ask(client, endpoint("http://nowhere.invalid"), stream=False)


def test_a_name_that_is_none_is_told_as_one_that_nobody_knows(client: Client) -> None:
    with pytest.raises(LocalFailure, match="name cannot be resolved"):
        ask(client, endpoint(f"http://{'x' * 70}.invalid"), stream=False)

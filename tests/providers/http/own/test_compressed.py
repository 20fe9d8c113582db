"""Answers that are compressed, though none is asked for: read to their end, or told why not."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest

from app.errors import ConnectionLost, RateLimited, UnusableAnswer
from app.providers.client import Client
from app.providers.http import framing
from tests.providers.calls import ask, endpoint
from tests.providers.http.own.conftest import PLAIN
from tests.providers.server import Server, head


def said(client: Client, server: Server) -> str:
    return ask(client, endpoint(server.url), stream=False)[0].text


def answer(encoding: str, body: bytes, *, status: int = 200) -> bytes:
    return head(status, {"content-encoding": encoding, "content-length": str(len(body)), "retry-after": "7"}) + body


@pytest.mark.parametrize(
    ("encoding", "encode"), [("gzip", gzip.compress), ("X-GZIP", gzip.compress), ("deflate", zlib.compress)]
)
def test_an_answer_compressed_unasked_is_read(
    encoding: str, encode: Callable[[bytes], bytes], client: Client, server: Server
) -> None:
    body = encode(PLAIN)
    sent = answer(encoding, body)
    server.answer = lambda _: [sent[:-5], sent[-5:]]
    assert said(client, server) == "Hi"
    assert server.received[-1].headers["accept-encoding"] == "identity"


TWO_MEMBERS = gzip.compress(PLAIN[:20]) + gzip.compress(PLAIN[20:])


@pytest.mark.parametrize("padding", [b"", b"\0" * 100], ids=["alone", "padded"])
def test_all_members_of_a_gzip_answer_are_read(padding: bytes, client: Client, server: Server) -> None:
    body = TWO_MEMBERS + padding
    sent = answer("gzip", body)
    server.answer = lambda _: [sent]
    assert said(client, server) == "Hi"
    server.answer = lambda _: [sent[place : place + 1] for place in range(len(sent))]
    assert said(client, server) == "Hi"


@pytest.mark.parametrize(
    "body",
    [gzip.compress(PLAIN)[:-4], TWO_MEMBERS[:-4], zlib.compress(PLAIN)[:-1]],
    ids=["gzip", "second member", "deflate"],
)
def test_a_compressed_answer_that_ends_too_early_is_none(body: bytes, client: Client, server: Server) -> None:
    # what is missing is the checksum alone: all of PLAIN is there
    server.answer = lambda _: [answer("gzip", body)]
    with pytest.raises(ConnectionLost, match="ends before its end"):
        said(client, server)


@pytest.mark.parametrize("encoding", ["br", "gzip"])
def test_a_refusal_is_told_by_its_status_where_its_body_cannot_be_decoded(
    encoding: str, client: Client, server: Server
) -> None:
    server.answer = lambda _: [answer(encoding, b"abcde", status=429)]
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            said(client, server)
        assert caught.value.retry_after_s == 7
    assert server.connections == 1


def test_an_encoding_of_no_name_or_of_no_body_is_none(client: Client, server: Server) -> None:
    server.answer = lambda _: [answer("", PLAIN)]
    assert said(client, server) == "Hi"
    server.answer = lambda _: [head(200, {"content-encoding": "br"})]
    assert client.warm_up(endpoint(server.url)) is None
    server.answer = lambda _: [answer("gzip", b"")]
    with pytest.raises(UnusableAnswer, match="JSON"):
        said(client, server)


def test_what_unpacks_to_more_than_we_take_is_refused(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(framing, "MAX_ANSWER", 10_000)
    body = gzip.compress(b" " * 10_000_000 + PLAIN)
    server.answer = lambda _: [answer("gzip", body)]
    with pytest.raises(UnusableAnswer, match="longer than 10000 bytes"):
        said(client, server)


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("br", "encoded in a way that was not asked for: br"), ("gzip", "encoding is broken")],
)
def test_an_answer_that_cannot_be_decoded_is_told(encoding: str, told: str, client: Client, server: Server) -> None:
    server.answer = lambda _: [answer(encoding, PLAIN)]
    with pytest.raises(UnusableAnswer, match=told):
        said(client, server)

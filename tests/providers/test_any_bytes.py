"""Whatever a server sends, the result is a value or one of our errors: never a foreign exception, never a hang."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.catalog import WireFormat
from app.errors import ProviderError
from app.providers.base import Answer
from app.providers.client import Client
from app.providers.http.sse import Event, EventParser
from app.providers.listing import list_models
from app.providers.wire import delays, problem
from app.providers.wire.draft import Draft
from app.providers.wire.formats import FORMATS
from tests.providers.calls import HELLO, ask, endpoint
from tests.providers.server import Hangup, Server, chunked, whole
from tests.providers.test_contract import FIXTURES

FORMAT = pytest.mark.parametrize("wire", WireFormat)
STREAMED = st.booleans()
#: a host that is busy elsewhere is no finding
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
THOROUGH = settings(PATIENT, max_examples=100)
OVER_A_SOCKET = settings(PATIENT, max_examples=40)


def words(document: object) -> set[str]:
    """Every key and every short text of a document: the vocabulary of its protocol."""
    if isinstance(document, dict):
        return set(document).union(*map(words, document.values()))
    if isinstance(document, list):
        return set().union(*map(words, document))
    return {document} if isinstance(document, str) and len(document) < 30 else set()


def vocabulary(wire: WireFormat) -> list[str]:
    fixture = FIXTURES[wire]
    told = [entry["plain"] for section in ("answers", "useless") for entry in fixture[section].values()]
    events = [
        json.loads(line.removeprefix("data: "))
        for section in ("answers", "useless")
        for entry in fixture[section].values()
        for line in "".join(entry["stream"]).splitlines()
        if line.startswith("data: {")
    ]
    return sorted(words([told, events, [row["body"] for row in fixture["refusals"]]]))


def documents(wire: WireFormat) -> st.SearchStrategy[Any]:
    """Nonsense in the provider's own words: it gets much deeper into a parser than random bytes do."""
    word = st.sampled_from(vocabulary(wire))
    leaf = (
        st.none()
        | st.booleans()
        | st.integers(-3, 10**20)
        | st.floats(allow_nan=False)
        | word
        | st.text()
        | st.just("\ud800")
    )
    return st.recursive(leaf, lambda inner: st.lists(inner) | st.dictionaries(word, inner), max_leaves=8)


DOCUMENTS = {wire: documents(wire) for wire in WireFormat}
ROOTS = {
    WireFormat.OPENAI: ["choices", "usage", "error", "id", "model"],
    WireFormat.ANTHROPIC: ["type", "content", "message", "delta", "content_block", "usage", "index"],
    WireFormat.GEMINI: ["candidates", "promptFeedback", "usageMetadata", "error"],
}


def mutated(wire: WireFormat) -> st.SearchStrategy[bytes]:
    """A real answer with one of its values replaced by nonsense."""
    real = [entry["plain"] for entry in FIXTURES[wire]["answers"].values()]

    def replaced(document: Any, path: list[int], value: Any) -> Any:
        if not path or not isinstance(document, dict | list) or not document:
            return value
        if isinstance(document, list):
            spot = path[0] % len(document)
            return [replaced(old, path[1:], value) if i == spot else old for i, old in enumerate(document)]
        key = sorted(document)[path[0] % len(document)]
        return {k: replaced(old, path[1:], value) if k == key else old for k, old in document.items()}

    path = st.lists(st.integers(0, 20), min_size=1, max_size=8)
    return st.builds(replaced, st.sampled_from(real), path, DOCUMENTS[wire]).map(lambda d: json.dumps(d).encode())


def nonsense(wire: WireFormat) -> st.SearchStrategy[bytes]:
    rooted = st.dictionaries(st.sampled_from(ROOTS[wire]), DOCUMENTS[wire]).map(lambda d: json.dumps(d).encode())
    return st.binary() | DOCUMENTS[wire].map(lambda d: json.dumps(d).encode()) | rooted | mutated(wire)


NONSENSE = {wire: nonsense(wire) for wire in WireFormat}


@FORMAT
@given(data=st.data())
@THOROUGH
def test_any_answer_is_read_or_refused(wire: WireFormat, data: st.DataObject) -> None:
    draft = Draft()
    try:
        FORMATS[wire].read_answer(data.draw(NONSENSE[wire]), draft)
        draft.check()
    except ProviderError:
        return
    assert draft.usage_of(HELLO).completion >= 0
    assert all(isinstance(call.arguments, str) for call in draft.tool_calls())
    "".join(draft.text).encode()  # no half of a surrogate pair gets in: it would break whoever writes it out


@FORMAT
@given(data=st.data())
@THOROUGH
def test_any_event_is_read_or_refused(wire: WireFormat, data: st.DataObject) -> None:
    draft = Draft()
    try:
        for event in data.draw(st.lists(NONSENSE[wire], max_size=6)):
            for delta in FORMATS[wire].read_event(Event(event), draft):
                assert delta.tool_index is None or delta.tool_index < len(draft.tools)
        draft.check()
    except ProviderError:
        return
    draft.usage_of(HELLO)


@FORMAT
@given(status=st.integers(100, 999), data=st.data())
@THOROUGH
def test_any_refusal_has_a_class(wire: WireFormat, status: int, data: st.DataObject) -> None:
    found = problem.read(data.draw(NONSENSE[wire]))
    assert issubclass(FORMATS[wire].error_class(status, found), ProviderError)
    assert len(found.message) <= problem.MESSAGE
    assert found.retry_after_s is None or 0 <= found.retry_after_s < float("inf")


@given(st.lists(st.binary()))
@THOROUGH
def test_events_do_not_depend_on_how_the_bytes_are_cut(pieces: list[bytes]) -> None:
    at_once, cut = EventParser(), EventParser()
    whole_text = b"".join(pieces)
    expected = at_once.feed(whole_text) + at_once.end()
    got = [event for piece in pieces for event in cut.feed(piece)] + cut.end()
    assert got == expected


SSE_LIKE = st.lists(
    st.sampled_from(
        [b"data: ", b"data:", b"data", b"event: x", b":", b"\n", b"\r", b"\r\n", b"{}", "é".encode(), b"\xef\xbb\xbf"]
    )
)


@given(SSE_LIKE, st.data())
@THOROUGH
def test_events_do_not_depend_on_where_lines_are_cut(parts: list[bytes], data: st.DataObject) -> None:
    text = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    at_once, cut = EventParser(), EventParser()
    expected = at_once.feed(text) + at_once.end()
    got = []
    for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True):
        got += cut.feed(text[a:b])
    assert got + cut.end() == expected


def outcome(client: Client, server: Server, wire: WireFormat, *, stream: bool) -> Answer | ProviderError:
    try:
        return ask(client, endpoint(server.url, wire), stream=stream, timeout_ms=2_000)[0]
    except ProviderError as error:
        return error


@FORMAT
@given(body=st.data(), status=st.sampled_from([200, 201, 204, 304, 400, 429, 500, 999]), stream=STREAMED)
@OVER_A_SOCKET
def test_any_response_ends_in_a_value_or_an_error_of_ours(
    wire: WireFormat, body: st.DataObject, status: int, stream: bool, client: Client, server: Server
) -> None:
    sent = body.draw(NONSENSE[wire])
    server.answer = lambda _: whole(status, {}, sent)
    assert isinstance(outcome(client, server, wire, stream=stream), Answer | ProviderError)


@FORMAT
@given(data=st.data(), ended=st.booleans())
@OVER_A_SOCKET
def test_any_stream_ends_in_a_value_or_an_error_of_ours(
    wire: WireFormat, data: st.DataObject, ended: bool, client: Client, server: Server
) -> None:
    events = data.draw(st.lists(NONSENSE[wire].map(lambda event: b"data: %b\n\n" % event), max_size=5))

    def answer(_: object) -> Any:
        yield from chunked(events, end=ended)
        raise Hangup

    server.answer = answer
    assert isinstance(outcome(client, server, wire, stream=True), Answer | ProviderError)


HTTP_LIKE = st.lists(
    st.sampled_from(
        [
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 2",
            b"HTTP/9.9 200 OK\r\n",
            b"content-length: 5\r\n",
            b"content-length: 5, 6\r\n",
            b"content-length: -1\r\n",
            b"content-length: x\r\n",
            b"transfer-encoding: chunked\r\n",
            b"content-encoding: gzip\r\n",
            b"connection: close\r\n",
            b"retry-after: Wed, 99 Foo\r\n",
            b"\r\n",
            b"5\r\nhello\r\n",
            b"-5\r\n",
            b"ffffffffffffffff\r\n",
            b"0\r\n\r\n",
            b"{}",
            b"data: {}\n\n",
            b"\x1f\x8b\x08",
        ]
    )
    | st.binary(),
    max_size=12,
).map(b"".join)


@given(sent=HTTP_LIKE, stream=STREAMED)
@THOROUGH
def test_any_bytes_at_all_end_in_a_value_or_an_error_of_ours(
    sent: bytes, stream: bool, client: Client, server: Server
) -> None:
    def answer(_: object) -> Any:
        yield sent
        raise Hangup

    server.answer = answer
    assert isinstance(outcome(client, server, WireFormat.OPENAI, stream=stream), Answer | ProviderError)


DATE = st.tuples(*(st.integers(0, 10**22) | st.integers(1, 30) for _ in range(6))).map(
    lambda n: f"Sun, {n[0]:02} Nov {n[1]} {n[2]}:{n[3]}:{n[4]} +{n[5]}"
)


@given(date=DATE | st.text())
@THOROUGH
def test_any_date_is_a_moment_or_none(date: str) -> None:
    moment = delays.moment_of(date)
    assert moment is None or moment.tzinfo is not None


@FORMAT
@given(data=st.data())
@OVER_A_SOCKET
def test_any_list_of_models_is_read_or_refused(
    wire: WireFormat, client: Client, server: Server, data: st.DataObject
) -> None:
    body = data.draw(NONSENSE[wire])
    status = data.draw(st.sampled_from([200, 401, 500]))
    server.answer = lambda _: whole(status, {}, body)
    try:
        listing = list_models(client.pool, endpoint(server.url, wire), timeout_ms=20_000)
    except ProviderError:
        return
    assert not listing.knows("m") or "m" in str(listing.models)

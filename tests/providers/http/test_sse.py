"""Server-sent events, by the examples of the standard and by what providers do."""

from __future__ import annotations

import pytest

from app.errors import UnusableAnswer
from app.providers.http import sse
from app.providers.http.sse import Event, EventParser


def parsed(*pieces: bytes) -> list[Event]:
    parser = EventParser()
    return [event for piece in pieces for event in parser.feed(piece)] + parser.end()


@pytest.mark.parametrize(
    ("text", "events"),
    [
        (b"data: a\n\n", [Event(b"a")]),
        (b"data:a\n\n", [Event(b"a")]),  # the space is optional
        (b"data:  a\n\n", [Event(b" a")]),  # and only one of them belongs to the format
        (b"data: a\ndata: b\n\n", [Event(b"a\nb")]),
        (b"data: a\r\ndata: b\r\n\r\n", [Event(b"a\nb")]),
        (b"data\n\n", [Event(b"")]),  # a field without a colon
        (b"event: ping\ndata: {}\n\n", [Event(b"{}", b"ping")]),
        (b"event: ping\n\ndata: {}\n\n", [Event(b"{}")]),  # an event without data is none, its name is forgotten
        (b": keep-alive\n\ndata: a\n\n", [Event(b"a")]),
        (b"\n\n\ndata: a\n\n", [Event(b"a")]),
        (b"id: 1\nretry: 9\nother: x\ndata: a\n\n", [Event(b"a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Event(b"a")]),  # a byte order mark
        (b"data: a\r\n\r\ndata: b\r\rdata: c\n\n", [Event(b"a"), Event(b"b"), Event(b"c")]),
        (b"data: a\n\ndata: b", [Event(b"a"), Event(b"b")]),  # the last blank line is missing
        (b"data: a: b\n\n", [Event(b"a: b")]),
        (b"", []),
    ],
)
def test_events_are_read(text: bytes, events: list[Event]) -> None:
    assert parsed(text) == events
    assert parsed(*(text[i : i + 1] for i in range(len(text)))) == events


def test_event_is_given_as_soon_as_it_is_whole() -> None:
    parser = EventParser()
    assert parser.feed(b"data: a\n") == []
    assert parser.feed(b"\nda") == [Event(b"a")]
    assert parser.feed(b"ta: b\r\n\r") == [Event(b"b")]  # the line feed that may follow is not waited for
    assert parser.feed(b"\n") == []
    assert parser.end() == []


@pytest.mark.parametrize(
    ("before", "event"),
    [
        (b"data: a\n", Event(b"a\nb")),  # in an event
        (b"event: ping\n", Event(b"b", b"ping")),
        (b"data: a", Event(b"adata: b")),  # in a line
    ],
)
def test_a_piece_that_looks_like_an_event_may_be_a_part_of_one(before: bytes, event: Event) -> None:
    assert parsed(before, b"data: b\n\n") == [event]


@pytest.mark.parametrize("piece", [b"x" * 50, b"data: " + b"x" * 40 + b"\n"], ids=["one line", "many lines"])
def test_event_longer_than_we_take_is_refused(piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 100)
    with pytest.raises(UnusableAnswer):
        parsed(piece, piece, piece)

"""Events known again by what surrounds their text say what they would say if they were read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from app.providers.http.sse import Event
from app.providers.wire.alike import TRIES, Alike, text_of


def event(text: str, **more: Any) -> Event:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None} | more
    return Event(json.dumps({"id": "1", "choices": [choice]}, ensure_ascii=False).encode())


def knowing(first: Event, text: str) -> Alike:
    alike = Alike("content")
    alike.learn(first, text)
    return alike


@given(some.text(min_size=1).filter(lambda text: not any("\ud800" <= each <= "\udfff" for each in text)))
def test_it_is_the_text_or_has_to_be_read(text: str) -> None:
    for escaped in (True, False):
        data = json.dumps({"choices": [{"delta": {"content": text}}]}, ensure_ascii=escaped).encode()
        known = knowing(Event(b'{"choices": [{"delta": {"content": "word"}}]}'), "word").text(Event(data))
        assert known in (text, None)


@pytest.mark.parametrize("text", ["word", " next", "two\nlines", "über", "日本", "😀", "a\\b"])
def test_usual_texts_need_not_be_read(text: str) -> None:
    assert knowing(event("first"), "first").text(event(text)) == text


@pytest.mark.parametrize(
    "other",
    [
        event("word", finish_reason="stop"),
        event("word", logprobs={}),
        event(""),
        event('say "no"'),
        Event(b'{"id": "1", "choices": [{"index": 0, "delta": {"content": "a\\", "finish_reason": null}]}'),
        Event(b'{"id": "1", "choices": [{"index": 0, "delta": {"content": "a\nb"}, "finish_reason": null}]}'),
        Event(b'{"id": "1", "choices": [{"index": 0, "delta": {"content": "\xff"}, "finish_reason": null}]}'),
        Event(b'{"id": "1", "choices": [{"index": 0, "delta": {"content": "\\ud83d"}, "finish_reason": null}]}'),
        Event(event("word").data, b"error"),
        Event(b"[DONE]"),
        Event(b""),
    ],
    ids=repr,
)
def test_what_differs_has_to_be_read(other: Event) -> None:
    assert knowing(event("first"), "first").text(other) is None


@pytest.mark.parametrize(
    "first",
    [
        Event(b'{"content": "x", "delta": {"content": "x"}}'),
        Event(b'{"content" : 1, "text": "x"}'),
        Event(b'{"text": "x", "content": {"a": "x"}}'),
        Event(b'{"delta": {"content": "\\u0078"}}'),
        Event(b'{"delta": {"content": "xy"}}'),
    ],
    ids=repr,
)
def test_nothing_is_learned_where_the_text_has_no_certain_place(first: Event) -> None:
    assert knowing(first, "x").text(first) is None


def test_it_gives_up_learning() -> None:
    alike = Alike("content")
    for _ in range(TRIES):
        assert alike.learns
        alike.learn(Event(b"{}"), "x")
    assert not alike.learns


def test_escapes_of_the_seldom_kind_are_left_to_who_knows_halves_of_characters() -> None:
    assert text_of(rb"\ud83d\ude00") is None
    assert text_of(rb"a\tb") == "a\tb"

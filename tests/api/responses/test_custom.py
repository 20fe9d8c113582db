"""The text of a custom tool's call, out of arguments in any pieces, from models that write them in any way."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.responses import custom


def read(*pieces: str) -> tuple[str, list[str]]:
    """The text at the end, and what was told of it on the way."""
    call = custom.Input()
    told = [call.more(piece) for piece in pieces]
    told.append(call.rest())
    return call.text, told


def cut(text: str, places: list[int]) -> list[str]:
    ends = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    return [text[begin:end] for begin, end in itertools.pairwise(ends)]


@given(text=st.text(), places=st.lists(st.integers(0, 10_000)), ascii_only=st.booleans())
def test_any_text_in_any_pieces_comes_out_as_it_was(text: str, places: list[int], ascii_only: bool) -> None:
    arguments = json.dumps({"input": text}, ensure_ascii=ascii_only)

    found, told = read(*cut(arguments, places))

    assert found == text
    assert "".join(told) == text
    assert json.loads(custom.arguments(text)) == {"input": text}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("", ""),
        ("{}", ""),
        ('{"input":', '{"input":'),
        ('{"input": "begun', "begun"),
        ('{"input": "half \\', "half "),
        ('{"input": "half \\ud83d', "half "),
        ('{"input": "lone \\ud83d."}', "lone \ufffd."),
        ('{"input": "two\nlines"}', "two\nlines"),
        ('{"input": "\\d+\\n"}', "\\d+\n"),
        ('{"patch": "another name"}', "another name"),
        ('{"path": "a", "input": "behind"}', "behind"),
        ('"bare"', "bare"),
        ("*** Begin Patch", "*** Begin Patch"),
        ('{"input": 5}', '{"input": 5}'),
        ('{"input": "x", "more": 1}', "x"),
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_what_models_write_instead(arguments: str, text: str, size: int) -> None:
    found, told = read(*(arguments[begin : begin + size] for begin in range(0, len(arguments), size)))

    assert found == "".join(told) == text


def test_the_text_is_told_as_it_comes() -> None:
    _, told = read('{"inp', 'ut": "one', ' two"', "}")

    assert told == ["", "one", " two", "", ""]

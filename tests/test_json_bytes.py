"""The compiled encoder says what the standard library's says, or leaves it to it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.json_bytes import dumps

SIMPLE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
DOCUMENT = st.recursive(SIMPLE, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


def slow(document: object) -> bytes:
    return json.dumps(document).encode()


@given(DOCUMENT)
def test_what_is_written_is_read_as_it_was(document: Any) -> None:
    assert json.loads(dumps(document, slow)) == document


@pytest.mark.parametrize("document", ["\ud800", {"a": ["\udfff"]}, 2**64, -(2**70), {1: "a"}])
def test_what_the_compiled_one_refuses_is_written_all_the_same(document: Any) -> None:
    assert dumps(document, slow) == slow(document)

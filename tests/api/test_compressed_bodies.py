"""Bodies that come as gzip or deflate, and those that would not fit when they are unpacked."""

from __future__ import annotations

import gzip
import zlib

import pytest

from app.api.inflate import inflated
from app.errors import InvalidRequest, PayloadTooLarge

BODY = b'{"model": "auto"}' * 50


def test_gzip_is_unpacked_in_all_its_members() -> None:
    assert inflated(gzip.compress(BODY) + gzip.compress(b"more"), 1000) == BODY + b"more"


@pytest.mark.parametrize("room", [len(BODY), len(BODY) + 1])
def test_a_body_within_the_limit_is_taken(room: int) -> None:
    assert inflated(gzip.compress(BODY), room) == BODY


@pytest.mark.parametrize(
    "data",
    [gzip.compress(BODY), gzip.compress(BODY[:-1]) * 2, gzip.compress(bytes(10_000_000))],
    ids=["one", "two", "bomb"],
)
def test_the_limit_holds_for_what_a_body_becomes(data: bytes) -> None:
    with pytest.raises(PayloadTooLarge):
        inflated(data, len(BODY) - 1)


@pytest.mark.parametrize(
    "data", [BODY, gzip.compress(BODY)[:-9], gzip.compress(BODY) + b"rest"], ids=["plain", "cut", "more"]
)
def test_what_is_no_gzip_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="gzip"):
        inflated(data, 10_000)


def deflated(data: bytes, window: int) -> bytes:
    encoder = zlib.compressobj(wbits=window)
    return encoder.compress(data) + encoder.flush()


@pytest.mark.parametrize("window", [zlib.MAX_WBITS, 9, -zlib.MAX_WBITS], ids=["zlib", "small window", "bare"])
def test_deflate_is_unpacked_with_and_without_its_head(window: int) -> None:
    data = deflated(BODY, window)
    assert inflated(data, len(BODY), "deflate") == BODY
    with pytest.raises(PayloadTooLarge):
        inflated(data, len(BODY) - 1, "deflate")
    for wrong in (data[:-5], data + b"rest", BODY):
        with pytest.raises(InvalidRequest, match="deflate"):
            inflated(wrong, 10_000, "deflate")

"""When a provider says to come back: in a header, in a body, in a sentence."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from app.providers.wire import delays, problem

NOW = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "delay_s"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "Sun, 01 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sun, 01 Nov 2026 11:59:00 GMT"}, 0.0),  # already past
        ({"retry-after": "Sun, 01 Nov 2026 12:00:30 -0000"}, 30.0),  # no zone known: UTC
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Sun, 01 Nov 99999999999999999999 12:00:00 GMT"}, None),
        ({"retry-after": "Sun, 01 Nov 2026 12:00:00 +99999999999999"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_header_says_when(headers: dict[str, str], delay_s: float | None) -> None:
    assert delays.retry_after_s(headers, None, NOW) == delay_s


@pytest.mark.parametrize(
    ("message", "delay_s"),
    [
        ("Rate limit reached. Please try again in 6ms. Contact us", 0.006),
        ("Please try again in 20s.", 20.0),
        ("Please try again in 1m6.5s.", 66.5),
        ("Please try again in 2h3m4s", timedelta(hours=2, minutes=3, seconds=4).total_seconds()),
        ("Please retry in 48.939935699s.", 48.939935699),
        ("Please retry after 26 seconds.", 26.0),  # Azure
        ("Try again in 1 minute 30 seconds", 90.0),
        ("Please try again in 250 milliseconds", 0.25),
        ("Please try again in 2 months.", None),
        ("Please try again later.", None),
        ("Please try again in " + "9" * 400 + "s.", None),
    ],
)
def test_sentence_says_when(message: str, delay_s: float | None) -> None:
    assert problem.read(json.dumps({"error": {"message": message}}).encode()).retry_after_s == delay_s


def test_header_comes_before_the_body() -> None:
    found = problem.read(b'{"error": {"message": "try again in 9s"}}')
    assert delays.retry_after_s({"retry-after": "4"}, found.retry_after_s, NOW) == 4.0
    assert delays.retry_after_s({}, found.retry_after_s, NOW) == 9.0


@pytest.mark.parametrize(
    ("body", "message", "names"),
    [
        (b'{"error": {"message": "m", "type": "t", "code": "c"}}', "m", ("c", "t")),
        (b'{"error": {"message": "m", "code": 429, "status": "S"}}', "m", ("S",)),  # a number is no name
        (b'[{"error": {"message": "m", "status": "S"}}]', "m", ("S",)),
        (b'{"error": "m"}', "m", ()),
        (b'{"detail": "m"}', "m", ()),
        (b'{"message": "m", "type": "t"}', "m", ("t",)),
        (b'\n\n  {"error": {"message": "m"}}', "m", ()),  # DeepSeek's blank lines
        (b"plain words", "plain words", ()),
        (b"<html>a page</html>", "", ()),
        (b"", "", ()),
        (b"null", "null", ()),
        (b"[]", "[]", ()),
        (b"[" * 100_000, "[" * problem.MESSAGE, ()),
        (b"\xff\xfe", "��", ()),
    ],
)
def test_any_shape_of_error_is_read(body: bytes, message: str, names: tuple[str, ...]) -> None:
    found = problem.read(body)
    assert (found.message, found.names) == (message, names)


@pytest.mark.parametrize(
    "headers", [{"retry-after": "1e300"}, {"retry-after-ms": "1e300"}, {"retry-after": "99999999"}]
)
def test_an_absurd_delay_is_a_day(headers: dict[str, str]) -> None:
    assert delays.retry_after_s(headers, None, NOW) == delays.LONGEST_DELAY_S

"""Headers of quotas, as providers document them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.domain.routing.allowance import Reading
from app.providers.rate_limits import readings

NOW = datetime(2026, 1, 1, tzinfo=UTC)

HEADERS: dict[str, tuple[dict[str, str], list[Reading]]] = {
    "OpenAI": (
        {
            "x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "59",
            "x-ratelimit-reset-requests": "1s", "x-ratelimit-limit-tokens": "150000",
            "x-ratelimit-remaining-tokens": "149984", "x-ratelimit-reset-tokens": "6m0.5s",
        },
        [Reading("requests", 59, 60, 1.0), Reading("tokens", 149984, 150000, 360.5)],
    ),
    "a daily limit of requests, as Groq's, told by its reset alone": (
        {"x-ratelimit-limit-requests": "14400", "x-ratelimit-remaining-requests": "14370",
         "x-ratelimit-reset-requests": "2m59.56s"},
        [Reading("requests", 14370, 14400, 179.56)],
    ),
    "Anthropic": (
        {
            "anthropic-ratelimit-requests-limit": "50", "anthropic-ratelimit-requests-remaining": "49",
            "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:02Z",
            "anthropic-ratelimit-input-tokens-limit": "30000", "anthropic-ratelimit-input-tokens-remaining": "29000",
            "anthropic-ratelimit-input-tokens-reset": "2026-01-01T00:00:02Z",
            "anthropic-ratelimit-output-tokens-remaining": "8000",
            "anthropic-ratelimit-unified-5h-status": "allowed", "anthropic-ratelimit-unified-5h-remaining": "0",
        },
        [
            Reading("requests", 49, 50, 2.0),
            Reading("input_tokens", 29000, 30000, 2.0),
            Reading("output_tokens", 8000),
        ],
    ),
    "Azure": (
        {"x-ratelimit-remaining-requests": "9", "x-ratelimit-remaining-tokens": "9900"},
        [Reading("requests", 9), Reading("tokens", 9900)],
    ),
    "Cerebras": (
        {"x-ratelimit-limit-requests-day": "1000", "x-ratelimit-remaining-requests-day": "999",
         "x-ratelimit-reset-requests-day": "33011.38", "x-ratelimit-limit-tokens-minute": "60000",
         "x-ratelimit-remaining-tokens-minute": "58000", "x-ratelimit-reset-tokens-minute": "11.38"},
        [Reading("requests a day", 999, 1000, 33011.38, 86400.0), Reading("tokens", 58000, 60000, 11.38, 60.0)],
    ),
    "Mistral": (
        {"x-ratelimit-limit-req-minute": "60", "x-ratelimit-remaining-req-minute": "59",
         "x-ratelimit-tokens-query-cost": "12"},
        [Reading("requests", 59, 60, None, 60.0)],
    ),
    "a moment in milliseconds": (
        {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1767225605000"},
        [Reading("requests", 0, 20, 5.0)],
    ),
    "IETF": (
        {"ratelimit": '"default";r=50;t=30', "ratelimit-policy": '"default";q=100;w=60'},
        [Reading("requests", 50, 100, 30.0, 60.0)],
    ),
    "IETF, older": (
        {"ratelimit-limit": "100, 100;w=10", "ratelimit-remaining": "50", "ratelimit-reset": "5"},
        [Reading("requests", 50, 100, 5.0, 10.0)],
    ),
    "IETF, in between": ({"ratelimit": "limit=100, remaining=50, reset=5"}, [Reading("requests", 50, 100, 5.0)]),
    "nothing": ({"retry-after": "3", "content-type": "text/html"}, []),
    "nonsense": (
        {"x-ratelimit-remaining-requests": "many", "x-ratelimit-remaining-tokens": "-1", "ratelimit": ";;=,",
         "x-ratelimit-remaining-input-requests": "3", "anthropic-ratelimit-requests-remaining": "nan"},
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("headers", HEADERS)
def test_what_is_left_is_read_off_the_headers(headers: str) -> None:
    sent, expected = HEADERS[headers]
    found = readings(sent, NOW)
    assert [each._replace(reset_s=None) for each in found] == [each._replace(reset_s=None) for each in expected]
    assert [each.reset_s for each in found] == [
        None if each.reset_s is None else pytest.approx(each.reset_s) for each in expected
    ]

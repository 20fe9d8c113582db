"""Days and months of a budget in its zone; what a key may use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.catalog import Target
from app.domain.key_limits import Budget, KeyLimits, period


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("zone", "now", "day", "day_ends", "month", "month_ends"),
    [
        ("UTC", "2026-11-30T23:59:59Z", "2026-11-30", "2026-12-01T00:00Z", "2026-11", "2026-12-01T00:00Z"),
        ("Europe/Zurich", "2026-11-30T23:30Z", "2026-12-01", "2026-12-01T23:00Z", "2026-12", "2026-12-31T23:00Z"),
        # 23 hours: clocks go forward, and 25: back
        ("Europe/Zurich", "2026-03-28T23:00Z", "2026-03-29", "2026-03-29T22:00Z", "2026-03", "2026-03-31T22:00Z"),
        ("Europe/Zurich", "2026-10-24T22:00Z", "2026-10-25", "2026-10-25T23:00Z", "2026-10", "2026-10-31T23:00Z"),
        # a midnight that does not exist: clocks go from 24:00 to 1:00
        ("Africa/Cairo", "2026-04-23T12:00Z", "2026-04-23", "2026-04-23T22:00Z", "2026-04", "2026-04-30T21:00Z"),
        # a month whose offset ends another than it begins, on the other side of the world
        ("Pacific/Auckland", "2026-04-04T11:00Z", "2026-04-05", "2026-04-05T12:00Z", "2026-04", "2026-04-30T12:00Z"),
        ("Asia/Kathmandu", "2026-12-31T18:15Z", "2027-01-01", "2027-01-01T18:15Z", "2027-01", "2027-01-31T18:15Z"),
        ("UTC", "2028-02-29T10:00Z", "2028-02-29", "2028-03-01T00:00Z", "2028-02", "2028-03-01T00:00Z"),
    ],
)
def test_a_day_ends_at_the_midnight_of_its_zone(
    zone: str, now: str, day: str, day_ends: str, month: str, month_ends: str
) -> None:
    found = period(zone, at(now))
    assert (found.day, found.day_ends) == (day, at(day_ends))
    assert (found.month, found.month_ends) == (month, at(month_ends))


def test_a_day_is_one_until_its_end_and_the_next_one_from_then_on() -> None:
    ends = period("Europe/Zurich", at("2026-10-25T12:00Z")).day_ends
    assert period("Europe/Zurich", ends - timedelta(microseconds=1)).day == "2026-10-25"
    assert period("Europe/Zurich", ends).day == "2026-10-26"


@pytest.mark.parametrize("zone", ["", "Mars/Base", "../../etc/passwd", "Europe", "CEST+2x", "Europe/zürich", "a" * 300])
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="no zone of the IANA database"):
        period(zone, datetime.now(UTC))


def test_models_are_named_by_provider_by_model_or_by_both() -> None:
    target = Target("openai", "gpt-4.1-mini")
    for models, allowed in [
        ((), True),
        (("openai",), True),
        (("gpt-4.1-mini",), True),
        (("openai/gpt-4.1-mini",), True),
        (("deepseek", "gpt-4.1"), False),
        (("openai/gpt-4.1",), False),
    ]:
        assert KeyLimits(models=models).allow(target) is allowed, models


def test_limits_come_back_as_they_were_kept_also_from_a_newer_release() -> None:
    limits = KeyLimits(60, 9000, 4, Budget(1.5, None, "Europe/Zurich", hard=False), ("openai",))
    newer = {**limits.to_json(), "color": "green", "budget": {**limits.to_json()["budget"], "weekUsd": 3}}
    assert KeyLimits.from_json(newer, 60) == limits
    assert KeyLimits.from_json({}, None) == KeyLimits()

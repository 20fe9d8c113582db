"""Live outcomes in a real Postgres."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from app.store import database, outcomes
from app.store.database import Sessions
from app.store.models import LiveOutcome


def row(request_id: str, **other: Any) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "attempt": 1,
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "provider": "deepseek",
        "model": "deepseek-chat",
        "task_type": "default",
        "segment": None,
        "success": True,
        "latency_ms": 100.0,
        "simulated": True,
        "explored": False,
        "revision": 1,
        **other,
    }


def held(sessions: Sessions) -> list[str]:
    with database.transaction(sessions) as session:
        return list(session.scalars(select(LiveOutcome.request_id).order_by(LiveOutcome.request_id)))


@pytest.mark.parametrize(
    "odd",
    [
        {"segment": "a\x00b"},  # refused by the driver
        {"provider": {"name": "x"}},  # which has no way to send it
        {"latency_ms": "long"},
        {"prompt_tokens": 2**40},  # refused by the server
        {"provider": None},  # refused by a constraint
    ],
)
def test_a_row_that_cannot_be_stored_does_not_hold_up_the_others(sessions: Sessions, odd: dict[str, Any]) -> None:
    with database.transaction(sessions) as session:
        stored = outcomes.record(session, [row("a"), row("b", **odd), row("c")])

    assert [each["request_id"] for each in stored] == ["a", "c"]
    assert held(sessions) == ["a", "c"]


def test_a_row_delivered_twice_is_there_once(sessions: Sessions) -> None:
    for _ in range(2):
        with database.transaction(sessions) as session:
            assert len(outcomes.record(session, [row("a")])) == 1

    assert held(sessions) == ["a"]

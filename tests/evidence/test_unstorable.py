"""One row that no table takes stops nothing."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from app import bootstrap
from app.api import create_app
from app.evidence import ingest
from app.store import database, requests
from tests.support.system import System

TODAY = datetime.now(UTC).date()
#: too long for an index of PostgreSQL, and not to be compressed
POISON = os.urandom(4000).hex()


def asked(segment: str, **other: Any) -> dict[str, Any]:
    """A request that counts in the usage alone."""
    return {
        "at": datetime.now(UTC),
        "key": None,
        "segment": segment,
        "provider": "openai",
        "model": "gpt",
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "cost_usd": 0.1,
        "simulated": True,
        **other,
    }


@pytest.mark.parametrize(
    "odd",
    [
        asked(POISON),  # no index takes it
        asked("a", prompt_tokens=2**63),  # in the same sum as one that is good
    ],
)
def test_usage_that_no_row_takes_is_dropped_alone(system: System, odd: dict[str, Any]) -> None:
    good = [asked("a"), asked("b")]
    with database.transaction(system.services.sessions) as session:
        assert requests.store(session, [good[0], odd, good[1]]) == good
    with database.transaction(system.services.sessions) as session:
        rows = requests.usage(session, TODAY, ["segment"])

    assert sorted((row["segment"], row["requests"]) for row in rows) == [("a", 1), ("b", 1)]


def test_a_poisoned_entry_does_not_stop_those_behind_it(system: System) -> None:
    running = bootstrap.start(system.services, seed=1)
    client = create_app(running).test_client()
    assert client.post("/api/v1/chat", json={"message": "x"}).status_code == 200
    running.stop()
    redis = system.services.redis
    (_, fields), *_ = redis.xrange("tooloo:outcomes")
    poisoned = fields[b"request"].replace(b'"segment":null', f'"segment":"{POISON}"'.encode())
    redis.delete("tooloo:outcomes")
    redis.xadd("tooloo:outcomes", {"request": poisoned})
    redis.xadd("tooloo:outcomes", fields)

    ingest.ingest(system.services)

    with database.transaction(system.services.sessions) as session:
        assert [row["requests"] for row in requests.usage(session, TODAY, ["segment"])] == [1]
    assert ingest.pulse(redis, "0-0").dropped_by == {"not_readable": 1, "not_storable": 0}


@pytest.mark.parametrize("segment", ["x" * 101, "a\tb"])
def test_a_header_that_is_no_segment_is_refused_by_its_name(system: System, segment: str) -> None:
    running = bootstrap.start(system.services, seed=1)
    client: FlaskClient = create_app(running).test_client()
    refused = client.post("/api/v1/chat", json={"message": "x"}, headers={"X-Tooloo-Segment": segment})
    running.stop()

    assert (refused.status_code, refused.get_json()["error"]["field"]) == (400, "X-Tooloo-Segment")


def test_a_row_that_is_too_large_is_no_lost_server(system: System) -> None:
    class TooLarge(Exception):  # stands for the driver's own
        pgcode = "54000"

    with pytest.raises(OperationalError), database.transaction(system.services.sessions):
        raise OperationalError("INSERT", None, TooLarge("index row size exceeds maximum"))

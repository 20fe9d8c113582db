"""Progress of a round: polled, and as server-sent events."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import bootstrap
from app.api import create_app
from app.api.system import round_events
from app.api.system.shapes import progress_json
from app.benchmark import benchmark
from app.store.models import Round
from tests.support.rounds import with_policy, work_off
from tests.support.system import System

SYSTEM = "/api/v1/system"


@pytest.fixture
def client(system: System) -> Iterator[FlaskClient]:
    running = bootstrap.start(system.services, seed=1)
    yield create_app(running).test_client()
    running.stop()


def events_of(text: str) -> list[tuple[str, Any]]:
    blocks = [block.split("\n") for block in text.strip().split("\n\n") if block.startswith("event: ")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def test_a_stream_shows_a_round_from_its_start_to_its_end(client: FlaskClient, system: System) -> None:
    round_id = benchmark.start_round(system.services)
    worker = threading.Thread(target=work_off, args=[system])

    response = client.get(f"{SYSTEM}/benchmarks/{round_id}/events")  # its body is not read yet
    worker.start()
    events = events_of(response.get_data(as_text=True))
    worker.join()

    assert response.mimetype == "text/event-stream"
    assert events[0][0] == "progress"
    assert (events[0][1]["done"], events[0][1]["expected"]) == (0, 40)
    assert events[-1][0] == "finished"
    assert (events[-1][1]["status"], events[-1][1]["done"], events[-1][1]["etaMs"]) == ("done", 40, 0)
    assert events[-1][1] == client.get(f"{SYSTEM}/benchmarks/{round_id}").get_json()["data"]


def test_a_stream_of_a_finished_round_has_one_event(client: FlaskClient, system: System) -> None:
    round_id = benchmark.start_round(system.services)
    work_off(system)

    response = client.get(f"{SYSTEM}/benchmarks/{round_id}/events")

    assert [name for name, _ in events_of(response.get_data(as_text=True))] == ["finished"]


def test_there_is_no_stream_of_a_round_that_is_not(client: FlaskClient) -> None:
    assert client.get(f"{SYSTEM}/benchmarks/benchmark-1/events").status_code == 404


def test_streams_leave_threads_for_others(client: FlaskClient, system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(round_events, "_free", threading.BoundedSemaphore(1))
    round_id = benchmark.start_round(system.services)
    first = client.get(f"{SYSTEM}/benchmarks/{round_id}/events")  # its body is not read yet

    refused = client.get(f"{SYSTEM}/benchmarks/{round_id}/events")
    assert refused.status_code == 503
    assert "event streams are open" in refused.get_json()["error"]["message"]

    first.close()
    work_off(system)
    assert client.get(f"{SYSTEM}/benchmarks/{round_id}/events").status_code == 200


@pytest.mark.parametrize(
    ("table", "eta_ms"),
    [
        ({"a": {"ok": 5, "pending": 5}, "b": {"ok": 2, "running": 2, "pending": 6}}, 40_000),
        ({"a": {"ok": 10}, "b": {"ok": 5, "error": 4, "running": 1}}, 1_111),
        ({"a": {"ok": 10}, "b": {"pending": 10}}, None),
        ({"a": {"ok": 10}, "b": {"timeout": 10}}, 0),
    ],
)
def test_the_slowest_provider_says_how_long_a_round_will_take(
    system: System, table: dict[str, dict[str, int]], eta_ms: int | None
) -> None:
    round_id = benchmark.start_round(system.services)
    with system.services.sessions() as session:
        record = session.get_one(Round, round_id)
        now_ms = int(record.planned_at.timestamp() * 1000) + 10_000
        assert progress_json(record, table, now_ms)["etaMs"] == eta_ms


def test_a_refused_budget_is_a_409_with_the_reason(client: FlaskClient, system: System) -> None:
    poor = with_policy(system, budget={"round_usd": 0.0})
    running = bootstrap.start(poor.services, seed=1)
    response = create_app(running).test_client().post(f"{SYSTEM}/benchmarks", json={})
    running.stop()

    assert response.status_code == 409
    assert response.get_json()["error"]["code"] == "over_budget"
    assert "a round may cost $0.00" in response.get_json()["error"]["message"]

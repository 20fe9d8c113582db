"""The request log and the usage per day, from the gateway to the API and the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select, text

from app import bootstrap
from app.api import create_app
from app.bootstrap import Running
from app.cli.explain import lines
from app.errors import BadRequest, Overloaded
from app.evidence import ingest, recorder, request_log
from app.gateway.gateway import Call
from app.store import database
from app.store.models import LoggedRequest
from tests.gateway.test_gateway import ALL, QUESTION, change, fails_with
from tests.support.system import System
from tests.support.waiting import wait_until

SYSTEM = "/api/v1/system"


@pytest.fixture
def running(system: System) -> Iterator[Running]:
    started = bootstrap.start(system.services, seed=1)
    change(system, explorationRate=0)
    yield started
    started.stop()


@pytest.fixture
def client(running: Running) -> FlaskClient:
    return create_app(running).test_client()


def explained(system: System, client: FlaskClient, request_id: str) -> Any:
    """The request's entry once it has come through."""

    def look() -> Any:
        ingest.ingest(system.services)
        return client.get(f"/api/v1/requests/{request_id}").get_json().get("data")

    return wait_until(look)


def logged(system: System) -> int:
    with database.transaction(system.services.sessions) as session:
        return session.scalars(select(func.count()).select_from(LoggedRequest)).one()


def used(system: System, client: FlaskClient, requests: int, query: str = "") -> list[dict[str, Any]]:
    """The usage once it counts so many requests."""

    def look() -> list[dict[str, Any]]:
        ingest.ingest(system.services)
        found: list[dict[str, Any]] = client.get(f"{SYSTEM}/usage{query}").get_json()["data"]["usage"]
        return found if sum(row["requests"] for row in found) == requests else []

    return wait_until(look)


def test_a_request_can_be_explained(system: System, client: FlaskClient) -> None:
    system.client.behaviours["deepseek"] = fails_with(Overloaded)
    answer = client.post(
        "/v1/chat/completions", json={"model": "auto:code", "messages": [{"role": "user", "content": "x"}]}
    )
    request_id = answer.headers["x-tooloo-request-id"]

    found = explained(system, client, request_id)

    assert (found["requestId"], found["asked"], found["taskType"]) == (request_id, "auto:code", "code")
    assert (found["status"], found["provider"], found["stream"]) == ("ok", "gemini", False)
    assert (found["cost"], found["tokens"]) == (0.001, {"prompt": 10, "completion": 20, "cached": 0})
    assert [(a["provider"], a["success"]) for a in found["attempts"]] == [("deepseek", False), ("gemini", True)]
    assert found["explanation"]["order"][0].startswith("deepseek/")
    assert len(found["explanation"]["candidates"]) == 4
    assert {"parts", "gap", "turn", "why"} <= set(found["explanation"]["candidates"][0])
    assert set(found["explanation"]) >= {"weights", "candidatesLeftOut"}
    assert "mutex" not in str(found)


def test_the_command_says_it_in_lines(system: System, client: FlaskClient, running: Running) -> None:
    system.client.behaviours["deepseek"] = fails_with(Overloaded)
    reply = running.gateway.chat(Call(QUESTION))

    said = "\n".join(lines(explained(system, client, reply.request_id)))

    assert "answered by gemini/" in said
    assert "overloaded" in said
    assert "SIMULATED" in said
    assert all(name in said for name in ALL)


@pytest.mark.parametrize("failure", [Overloaded, BadRequest])
def test_a_request_nobody_answered_is_in_the_log_too(system: System, client: FlaskClient, failure: Any) -> None:
    for name in ALL:
        system.client.behaviours[name] = fails_with(failure)

    answer = client.post("/v1/chat/completions", json={"model": "auto", "messages": [{"role": "user", "content": "x"}]})
    found = explained(system, client, answer.headers["x-tooloo-request-id"])
    assert "\n".join(lines(found)).count("nobody") == 1

    assert (found["status"], found["provider"]) == (
        "bad_request" if failure is BadRequest else "all_attempts_failed",
        None,
    )


def test_an_unknown_request_is_a_404_that_says_how_long_they_are_kept(client: FlaskClient) -> None:
    response = client.get("/api/v1/requests/req-0")

    assert response.status_code == 404
    assert "14 days" in response.get_json()["error"]["message"]


def test_what_sampling_leaves_out_counts_in_the_usage_all_the_same(system: System) -> None:
    policy = system.services.policy
    none = replace(system.services, policy=replace(policy, gateway=replace(policy.gateway, log_share=0.0)))
    running = bootstrap.start(none, seed=1)
    change(system, explorationRate=0)
    client = create_app(running).test_client()
    running.gateway.chat(Call(QUESTION))
    system.client.behaviours["deepseek"] = fails_with(Overloaded)
    kept = running.gateway.chat(Call(QUESTION))

    used(system, client, 2)

    assert logged(system) == 1
    assert explained(system, client, kept.request_id)["provider"] == "gemini"
    running.stop()


def test_usage_is_told_apart_by_key_segment_and_provider(system: System, client: FlaskClient, running: Running) -> None:
    running.gateway.chat(Call(QUESTION, key="ci", segment="batch"))
    running.gateway.chat(Call(QUESTION, key="ci", segment="batch", provider="gemini"))
    client.post("/api/v1/chat", json={"message": "x"}, headers={"X-Tooloo-Segment": "premium"})
    for name in ALL:
        system.client.behaviours[name] = fails_with(Overloaded)
    client.post("/api/v1/chat", json={"message": "x"})

    rows = used(system, client, 4, "?days=2&by=key,segment,provider")

    told = {(row["key"], row["segment"], row["provider"]): row for row in rows}
    assert set(told) == {
        ("ci", "batch", "deepseek"),
        ("ci", "batch", "gemini"),
        ("", "premium", "deepseek"),
        ("", "", "openai"),  # the last one that failed
    }
    assert told["", "", "openai"]["failed"] == 1
    assert told["ci", "batch", "gemini"] == {
        "key": "ci", "segment": "batch", "provider": "gemini", "simulated": True, "requests": 1, "failed": 0,
        "unpriced": 0, "promptTokens": 10, "completionTokens": 20, "costUsd": 0.001,
        "cachedTokens": 0, "cacheSavedUsd": 0.0,
    }  # fmt: skip


def test_an_outcome_delivered_again_is_not_used_again(system: System, client: FlaskClient, running: Running) -> None:
    running.gateway.chat(Call(QUESTION))
    used(system, client, 1)

    ingest.ingest(system.services)

    assert [row["requests"] for row in used(system, client, 1)] == [1]


def test_usage_counts_where_metrics_collection_is_off(system: System, client: FlaskClient, running: Running) -> None:
    change(system, features={"metricsCollection": False})
    running.gateway.chat(Call(QUESTION))

    assert used(system, client, 1)[0]["provider"] == "deepseek"


@pytest.mark.parametrize("query", ["days=0", "days=x", "days=99999", "by=colour"])
def test_a_senseless_question_for_usage_is_refused(client: FlaskClient, query: str) -> None:
    assert client.get(f"{SYSTEM}/usage?{query}").status_code == 400


def test_an_entry_that_is_not_ours_is_passed_over(system: System, client: FlaskClient, running: Running) -> None:
    for garbage in ("garbage", "[]", '{"at": "yesterday"}'):
        system.services.redis.xadd(recorder.STREAM, {"request": garbage})
    running.gateway.chat(Call(QUESTION))

    used(system, client, 1)


def test_old_requests_are_purged_and_the_rest_stays(system: System, client: FlaskClient, running: Running) -> None:
    old, new = (running.gateway.chat(Call(QUESTION)).request_id for _ in range(2))
    for request_id in (old, new):
        explained(system, client, request_id)
    days = timedelta(days=system.services.policy.gateway.log_days + 1)
    with system.services.engine.begin() as connection:
        statement = text("UPDATE requests SET at = at - :days WHERE request_id = :old")
        connection.execute(statement, {"days": days, "old": old})

    request_log.purge(system.services)

    assert client.get(f"/api/v1/requests/{old}").status_code == 404
    assert client.get(f"/api/v1/requests/{new}").status_code == 200

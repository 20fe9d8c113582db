"""The HTTP API over a real Postgres and Redis: shapes, statuses, and who may call what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from app import bootstrap
from app.api import create_app
from app.benchmark import benchmark
from app.errors import ConfigError, Overloaded
from tests.benchmark.test_benchmark import run_round
from tests.domain.config.test_runtime_config import SPECIFIED, contains
from tests.gateway.test_gateway import fails_with
from tests.support.system import System, build
from tests.support.waiting import wait_until

SYSTEM = "/api/v1/system"


@pytest.fixture
def client(system: System) -> Iterator[FlaskClient]:
    running = bootstrap.start(system.services, seed=1)
    yield create_app(running).test_client()
    running.stop()


def test_runtime_config_answers_with_the_specified_keys(client: FlaskClient) -> None:
    response = client.get(f"{SYSTEM}/runtime-config")

    document = response.get_json()
    assert document["success"] is True
    expected = {**SPECIFIED, "version": document["data"]["version"], "timestamp": document["data"]["timestamp"]}
    expected["metadata"] = {
        **SPECIFIED["metadata"],
        "lastOptimizationTime": document["data"]["metadata"]["lastOptimizationTime"],
    }
    assert contains(document["data"], expected)
    assert response.headers["ETag"] == f'"{document["data"]["version"]}"'


def test_an_unchanged_config_is_not_sent_again(client: FlaskClient) -> None:
    tag = client.get(f"{SYSTEM}/runtime-config").headers["ETag"]

    assert client.get(f"{SYSTEM}/runtime-config", headers={"If-None-Match": tag}).status_code == 304


def test_a_partial_update_answers_the_new_document(client: FlaskClient) -> None:
    update = {"weights": {"latency": 0.6, "cost": 0.2, "reliability": 0.2}, "reason": "slow", "updatedBy": "mine"}

    document = client.post(f"{SYSTEM}/runtime-config", json=update).get_json()["data"]

    assert document["global"]["providerWeights"] == {"latency": 0.6, "cost": 0.2, "reliability": 0.2}
    assert document["metadata"]["optimizedBy"] == "mine"
    assert client.get(f"{SYSTEM}/runtime-config").get_json()["data"] == document


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"weights": {"latency": 0.9, "cost": 0.9, "reliability": 0.9}}, "weights"),
        ({"explorationRate": 2}, "explorationRate"),
        ({"surprise": 1}, "surprise"),
        ({"explorationRate": 0.2, "reason": 7}, "reason"),
        ({}, None),
        ([], None),
    ],
)
def test_a_wrong_update_is_a_400_that_names_the_field(client: FlaskClient, body: object, field: str | None) -> None:
    response = client.post(f"{SYSTEM}/runtime-config", json=body)

    error = response.get_json()["error"]
    assert response.status_code == 400
    assert (error["code"], error.get("field")) == ("invalid_request", field)
    assert error["requestId"] == response.headers["X-Request-Id"]


@pytest.mark.parametrize(("given", "kept"), [("trace 7", True), ("", False), ("x" * 101, False), ("naïve", False)])
def test_a_request_goes_by_the_name_its_caller_gave_it(client: FlaskClient, given: str, *, kept: bool) -> None:
    answers = [client.get(f"{SYSTEM}/nothing", headers={"X-Request-Id": given}) for _ in range(2)]

    names = [answer.headers["X-Request-Id"] for answer in answers]
    assert [answer.get_json()["error"]["requestId"] for answer in answers] == names
    assert (names == [given, given]) is kept
    assert all(names)
    assert len(set(names)) == (1 if kept else 2)


def test_a_write_on_an_old_version_is_refused(client: FlaskClient) -> None:
    tag = client.get(f"{SYSTEM}/runtime-config").headers["ETag"]
    client.post(f"{SYSTEM}/runtime-config", json={"explorationRate": 0.2}, headers={"If-Match": tag})

    second = client.post(f"{SYSTEM}/runtime-config", json={"explorationRate": 0.3}, headers={"If-Match": tag})

    assert second.status_code == 412
    assert client.get(f"{SYSTEM}/runtime-config").get_json()["data"]["global"]["explorationRate"] == 0.2


def test_before_the_first_round_results_are_empty_not_missing(client: FlaskClient) -> None:
    assert client.get(f"{SYSTEM}/benchmark-results").get_json()["data"] == {
        "latest": None,
        "history": [],
        "totalRounds": 0,
    }


def test_benchmark_results_answer_with_the_specified_shape(client: FlaskClient, system: System) -> None:
    system.client.behaviours["openai"] = fails_with(Overloaded)
    ids = [run_round(system) for _ in range(3)]

    data = client.get(f"{SYSTEM}/benchmark-results?limit=2").get_json()["data"]

    latest = data["latest"]
    assert (latest["id"], [each["id"] for each in data["history"]], data["totalRounds"]) == (
        ids[2],
        [ids[2], ids[1]],
        3,
    )
    assert {"id", "timestamp", "duration", "results", "summary"} <= set(latest)
    assert set(latest["results"][0]) >= {"provider", "prompt", "latency", "tokens", "qualityScore", "success"}
    assert latest["summary"]["providersAttempted"] == 40
    assert latest["summary"]["successCount"] == 30
    assert latest["summary"]["avgLatency"] == 100
    assert any(line.startswith("Best provider: ") for line in latest["summary"]["improvements"])
    assert latest["simulated"] is True


def test_a_round_is_started_and_followed(client: FlaskClient, system: System) -> None:
    response = client.post(f"{SYSTEM}/benchmarks", json={"providers": ["gemini"]})

    round_id = response.get_json()["data"]["roundId"]
    assert response.status_code == 202
    before = client.get(f"{SYSTEM}/benchmarks/{round_id}").get_json()["data"]
    assert (before["status"], before["done"], before["expected"]) == ("running", 0, 10)
    while keys := system.celery.take_probes():
        for key in keys:
            benchmark.run_probe(system.services, key)
    after = client.get(f"{SYSTEM}/benchmarks/{round_id}").get_json()["data"]
    assert (after["status"], after["done"], after["providers"]["gemini"]["ok"]) == ("optimizing", 10, 10)


def test_a_round_is_accepted_while_the_broker_is_away(client: FlaskClient, system: System) -> None:
    system.celery.away = True

    assert client.post(f"{SYSTEM}/benchmarks", json={}).status_code == 202


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", f"{SYSTEM}/benchmarks/benchmark-1", None, 404),
        ("GET", "/nothing", None, 404),
        ("DELETE", "/api/v1/chat", {}, 405),
        ("POST", f"{SYSTEM}/benchmarks", {"providers": ["mistral"]}, 400),
        ("POST", f"{SYSTEM}/benchmarks", {"providers": "gemini"}, 400),
        ("GET", f"{SYSTEM}/benchmark-results?limit=0", None, 400),
        ("GET", f"{SYSTEM}/benchmark-results?limit=many", None, 400),
        ("POST", "/api/v1/chat", {}, 400),
        ("POST", "/api/v1/chat", {"message": "a", "messages": [{"role": "user", "content": "a"}]}, 400),
        ("POST", "/api/v1/chat", {"message": "a", "stream": "often"}, 400),
        ("POST", "/api/v1/chat", {"message": "a", "modelConfig": {"temperature": 9}}, 400),
        ("POST", "/api/v1/chat", {"messages": [{"role": "robot", "content": "a"}]}, 400),
    ],
)
def test_every_refusal_is_json_in_the_envelope(
    client: FlaskClient, method: str, path: str, body: object, status: int
) -> None:
    response = client.open(path, method=method, json=body)

    assert response.status_code == status
    assert response.get_json()["success"] is False
    assert {"code", "message", "requestId"} <= set(response.get_json()["error"])


def test_a_body_that_is_not_json_is_said_to_be(client: FlaskClient) -> None:
    response = client.post("/api/v1/chat", data="{", headers={"Content-Type": "application/json"})

    assert response.status_code == 400
    assert "not JSON" in response.get_json()["error"]["message"]


@pytest.mark.parametrize(
    ("named", "becomes"),
    [({}, "code"), ({"taskType": "default"}, "default"), ({"taskType": "creative"}, "creative")],
    ids=["none", "default", "another"],
)
def test_the_task_type_is_read_off_the_words_where_none_is_named(
    client: FlaskClient, named: dict[str, str], becomes: str
) -> None:
    asked = {"message": "Write a Python function that reverses a list", **named}

    assert client.post("/api/v1/chat", json=asked).get_json()["data"]["taskType"] == becomes


def test_chat_answers_with_the_specified_keys(client: FlaskClient, system: System) -> None:
    client.post(f"{SYSTEM}/runtime-config", json={"explorationRate": 0})
    system.client.behaviours["deepseek"] = fails_with(Overloaded)

    data = client.post("/api/v1/chat", json={"message": "What is a mutex?", "taskType": "analysis"}).get_json()["data"]

    assert set(data) >= {
        "requestId", "content", "provider", "model", "taskType", "finishReason",
        "latency", "cost", "tokens", "explored", "attempts",
    }  # fmt: skip
    assert (data["provider"], data["taskType"], data["content"]) == ("gemini", "analysis", "forty-two")
    assert [(a["provider"], a["success"]) for a in data["attempts"]] == [("deepseek", False), ("gemini", True)]
    assert data["attempts"][0]["error"]["code"] == "overloaded"


def test_the_scorecard_shows_every_target_in_the_order_of_routing(client: FlaskClient, system: System) -> None:
    run_round(system)

    data = client.get(f"{SYSTEM}/scorecard").get_json()["data"]

    assert len(data["candidates"]) == 4
    assert all({"provider", "model", "score", "reasons"} <= set(candidate) for candidate in data["candidates"])
    for known in (candidate["evidence"] for candidate in data["candidates"]):
        lowest, highest = known["qualityInterval"]
        assert 0 <= lowest <= known["quality"] <= highest <= 1
        assert known["qualityPrompts"] == 10


def test_insights_say_which_round_they_come_from(client: FlaskClient, system: System) -> None:
    round_id = run_round(system)

    data = client.get(f"{SYSTEM}/insights").get_json()["data"]

    assert {insight["roundId"] for insight in data["insights"]} == {round_id}


@pytest.mark.parametrize("host", ["evil.example", "10.0.0.7:4000", "tooloo.local"])
def test_a_web_page_that_found_our_port_is_refused(client: FlaskClient, host: str) -> None:
    assert client.get(f"{SYSTEM}/runtime-config", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_write_that_a_form_could_send_is_refused(client: FlaskClient, kind: str) -> None:
    response = client.post("/api/v1/chat", data=json.dumps({"message": "a"}), headers={"Content-Type": kind})

    assert response.status_code == 403


def test_a_body_beyond_the_bound_is_refused(client: FlaskClient) -> None:
    response = client.post("/api/v1/chat", json={"message": "x" * 33_600_000})

    assert (response.status_code, response.get_json()["error"]["code"]) == (413, "payload_too_large")


def test_without_postgres_writes_get_a_clear_503_and_reads_go_on(redis_url: str, tmp_path: Path) -> None:
    system = build(f"postgresql+psycopg2://postgres@/nothing?host={tmp_path}", redis_url, tmp_path)
    running = bootstrap.start(system.services, seed=1)
    client = create_app(running).test_client()

    write = client.post(f"{SYSTEM}/runtime-config", json={"explorationRate": 0.2})
    assert (write.status_code, write.get_json()["error"]["code"]) == (503, "dependency_unavailable")
    assert "PostgreSQL" in write.get_json()["error"]["message"]
    assert client.get(f"{SYSTEM}/runtime-config").status_code == 200
    assert client.post("/api/v1/chat", json={"message": "hello"}).status_code == 200
    ready = client.get("/readyz")
    assert (ready.status_code, ready.get_json()["data"]["status"]) == (200, "degraded")

    running.stop()
    system.close()


def test_readiness_names_every_dependency(client: FlaskClient) -> None:
    assert client.get("/readyz").get_json()["data"] == {
        "status": "ok",
        "checks": dict.fromkeys(
            ("postgres", "redis", "ingest", "config", "clock", "files", "processes", "providers"), "ok"
        ),
        "breakers": {},
    }


def test_liveness_tells_whether_rounds_come(client: FlaskClient, system: System) -> None:
    assert client.get("/healthz").get_json()["data"]["benchmark"] == {"status": "no round yet"}
    run_round(system)
    wait_until(lambda: client.get("/healthz").get_json()["data"]["benchmark"] == {"status": "ok"})
    with system.services.engine.begin() as connection:
        for column in ("planned_at", "finished_at"):
            connection.execute(text(f"UPDATE rounds SET {column} = {column} - interval '2 hours'"))  # noqa: S608  # two names of ours
    wait_until(lambda: client.get("/healthz").get_json()["data"]["benchmark"]["status"] == "silent")


@pytest.mark.parametrize(
    ("method", "path", "key", "status"),
    [
        ("GET", "/healthz", None, 200),
        ("GET", f"{SYSTEM}/runtime-config", None, 401),
        ("GET", f"{SYSTEM}/runtime-config", "chat-key", 200),
        ("POST", f"{SYSTEM}/runtime-config", "chat-key", 403),
        ("POST", f"{SYSTEM}/runtime-config", "admin-key", 200),
        ("POST", f"{SYSTEM}/runtime-config", "admin-kez", 401),
        ("POST", "/api/v1/chat", None, 401),
        ("POST", "/api/v1/chat", "chat-key", 400),  # let in, and refused for its body
        ("POST", "/v1/chat/completions", None, 401),
        ("POST", "/v1/chat/completions", "chat-key", 400),
        ("GET", "/v1/models", None, 401),
        ("GET", "/metrics", None, 401),
        ("GET", "/docs", None, 200),
        ("GET", "/openapi.json", None, 200),
    ],
)
def test_with_keys_set_each_route_needs_its_own(
    database_url: str, redis_url: str, tmp_path: Path, method: str, path: str, key: str | None, status: int
) -> None:
    keys = {"TOOLOO_ADMIN_KEY": "admin-key", "TOOLOO_API_KEY": "chat-key", "TOOLOO_HOST": "0.0.0.0"}  # noqa: S104 - never served
    system = build(database_url, redis_url, tmp_path, keys)
    running = bootstrap.start(system.services, seed=1)
    headers = {"Authorization": f"Bearer {key}"} if key else {}

    response = (
        create_app(running)
        .test_client()
        .open(path, method=method, headers=headers, json={"explorationRate": 0.2} if method == "POST" else None)
    )

    assert response.status_code == status
    if path.startswith("/v1") and status == 401:
        assert response.get_json()["error"]["code"] == "invalid_api_key"
    response.close()
    running.stop()
    system.close()


@pytest.mark.parametrize("missing", ["TOOLOO_ADMIN_KEY", "TOOLOO_API_KEY"])
def test_beyond_loopback_a_process_without_keys_refuses_to_start(tmp_path: Path, missing: str) -> None:
    keys = {"TOOLOO_ADMIN_KEY": "a", "TOOLOO_API_KEY": "b", "TOOLOO_HOST": "0.0.0.0"}  # noqa: S104 - refused
    system = build("postgresql://nowhere/x", "redis://127.0.0.1:1", tmp_path, {**keys, missing: ""})

    with pytest.raises(ConfigError, match=missing):
        system.services.settings.check_exposure()

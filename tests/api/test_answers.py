"""The reference says what a running server answers: schemas, examples, parameters, summaries."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import reduce
from typing import Any

import jsonschema
import pytest
from flask.testing import FlaskClient

from app import bootstrap
from app.api import create_app
from app.errors import BadKey
from app.evidence import ingest
from app.operations import rolling
from tests.gateway.test_gateway import fails_with
from tests.support import api_answers
from tests.support.api_answers import example_of, merged, schema_of, told
from tests.support.rounds import run_round
from tests.support.system import System
from tests.support.waiting import wait_until

#: keys of answers that are names of something besides providers and targets
NAMES = {"default", "code", "creative", "analysis", "free"}
#: streams without end, answers that are no JSON, and what a dialect's own test knows
ELSEWHERE = ("/events", "/metrics", "/docs", "/openapi.json", "{path}", "{response_id}", "{name}", "/input_items")


@pytest.fixture
def client(system: System) -> Iterator[FlaskClient]:
    running = bootstrap.start(system.services, seed=1)
    yield create_app(running).test_client()
    running.stop()


def reference(client: FlaskClient) -> dict[str, Any]:
    with client.get("/openapi.json") as answer:
        document: dict[str, Any] = answer.get_json()
    return document


def answers(client: FlaskClient, filled: dict[str, str]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Path, what the server answers, and what the reference says of it; for every GET that can be filled in."""
    for path, operations in reference(client)["paths"].items():
        if "get" not in operations or any(part in path for part in ELSEWHERE):
            continue
        url = path.format(**filled) + ("?from=1" if path.endswith("/diff") else "")
        with client.get(url) as answer:
            if answer.status_code == 200:
                yield path, answer.get_json(), operations["get"]["responses"]["200"]["content"]["application/json"]
            else:
                error = operations["get"]["responses"]["default"]["content"]["application/json"]
                assert "none" in url, (url, answer.status_code)
                yield path, answer.get_json(), error


def test_every_get_answers_as_the_reference_says(client: FlaskClient, system: System) -> None:
    filled = {"round_id": "none", "request_id": "none", "version": "1"}
    for path, answer, said in answers(client, filled):
        assert said, f"{path} has no schema: run `make answers`"
        jsonschema.validate(answer, said["schema"])

    filled["round_id"] = run_round(system)
    with client.post("/api/v1/chat", json={"message": "hello"}) as answered:
        filled["request_id"] = answered.get_json()["data"]["requestId"]
    wait_until(lambda: ingest.ingest(system.services) > 0, what="the outcome")
    seen = 0
    for path, answer, said in answers(client, filled):
        jsonschema.validate(answer, said["schema"])
        jsonschema.validate(said["example"], said["schema"])
        assert answer.keys() == said["example"].keys(), path
        seen += 1
    assert seen >= 15


def test_what_is_kept_of_the_answers_is_as_they_are_today(client: FlaskClient, system: System) -> None:
    """With ANSWERS=1, as `make answers` sets it: keeps them."""
    names = {*NAMES, *(name for each in system.services.providers for name in (each.name, *map(str, each.targets)))}
    before = dict(all_answers(client, {"round_id": "none", "request_id": "none", "version": "1"}))
    filled = everything_once(client, system)
    after = dict(all_answers(client, filled))
    plain = dict(all_answers(client, {**filled, "request_id": filled["plain"]}))
    today = {
        endpoint: told(
            reduce(merged, (schema_of(each, names) for each in (before.get(endpoint, answer), plain[endpoint], answer)))
        )
        for endpoint, answer in after.items()
    }
    if os.environ.get("ANSWERS"):
        recorded = {name: {"schema": schema, "example": example_of(after[name])} for name, schema in today.items()}
        api_answers.write({**api_answers.kept(), **recorded})

    kept = api_answers.kept()
    assert today.keys() <= kept.keys(), "run `make answers`"
    old = {name: list(api_answers.outdated(kept[name]["schema"], schema)) for name, schema in today.items()}
    assert {name: differences for name, differences in old.items() if differences} == {}, "run `make answers`"


def all_answers(client: FlaskClient, filled: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """Endpoint, and what it answers, of every GET of our own API."""
    for path, operations in reference(client)["paths"].items():
        if "get" not in operations or path.startswith("/v1") or any(part in path for part in ELSEWHERE):
            continue
        with client.get(path.format(**filled) + ("?from=1" if path.endswith("/diff") else "")) as answer:
            if answer.status_code == 404 and "none" in filled.values():  # nothing has been asked or measured yet
                continue
            assert answer.status_code == 200, (path, answer.get_json())
            yield operations["get"]["operationId"].removesuffix(".get"), answer.get_json()


def everything_once(client: FlaskClient, system: System) -> dict[str, str]:
    """So that no answer is empty: rounds, a request that falls over, a key, a revision, a key that was refused."""
    change = {
        "segments": {"free": {"weights": {"latency": 0.2, "cost": 0.6, "reliability": 0.2}}},
        "explorationRate": 0,
    }
    client.post("/api/v1/system/runtime-config", json={**change, "reason": "for the record", "updatedBy": "anna"})
    key = {"name": "mobile app", "scopes": ["chat"], "segment": "free", "ratePerMinute": 60}
    client.post("/api/v1/system/keys", json=key)
    run_round(system)
    round_id = run_round(system)
    with client.post("/api/v1/chat", json={"message": "hello"}) as answered:
        plain = answered.get_json()["data"]["requestId"]
    system.client.behaviours["gemini"] = system.client.behaviours["openai"] = fails_with(BadKey)
    request_id = next(filter(None, (fallen_over(client) for _ in range(100))))  # who is first is drawn: all are alike
    system.client.behaviours.clear()
    wait_until(lambda: is_logged(client, system, request_id), what="the request in the log")
    rolling.roll_up(system.services)
    return {"round_id": round_id, "request_id": request_id, "version": "2", "plain": plain}


def fallen_over(client: FlaskClient) -> str | None:
    """The id of a request that more than one target was asked for."""
    with client.post("/api/v1/chat", json={"message": "hello", "segment": "free"}) as answered:
        data = answered.get_json()["data"]
    return data["requestId"] if len(data["attempts"]) > 1 else None


def is_logged(client: FlaskClient, system: System, request_id: str) -> bool:
    ingest.ingest(system.services)
    with client.get(f"/api/v1/requests/{request_id}") as found:
        return bool(found.status_code == 200)


@pytest.mark.parametrize(
    ("kept", "now", "seen"),
    [
        ({"a": 1}, {"a": 2.5}, []),
        ({"a": 1}, {"a": None}, []),
        ({"a": 1}, {"a": "1"}, ["$.a: number, now string"]),
        ({"a": [{"b": 1}]}, {"a": [{"b": None}, {"b": 1, "c": 2}]}, ["$.a[].c is answered, and not kept"]),
        ({"a": None}, {"a": 1}, []),
        ({"a": [None, 1]}, {"a": ["1"]}, ["$.a[]: ['null', 'number'], now string"]),
        ({"a": 1, "b": 1}, {"a": 1}, ["$.b is kept, and not answered"]),
        ({"by": {"acme": {"n": 1}}}, {"by": {"emca": {"n": "1"}}}, ["$.by.*.n: number, now string"]),
    ],
)
def test_an_answer_that_became_another_is_seen(kept: Any, now: Any, seen: list[str]) -> None:
    names = {"acme", "emca"}

    assert list(api_answers.outdated(told(schema_of(kept, names)), schema_of(now, names))) == seen


def test_every_operation_has_a_summary_in_words_and_its_own_name(client: FlaskClient) -> None:
    names = []
    for path, operations in reference(client)["paths"].items():
        for method, operation in operations.items():
            assert " " in operation["summary"].strip(), (method, path)
            assert operation["summary"][0] in operation["summary"][0].upper() or operation["summary"][0] == "`", path
            names.append(operation["operationId"])
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/api/v1/system/scorecard", {"taskType", "segment"}),
        ("/api/v1/system/runtime-config/diff", {"from", "to"}),
        ("/api/v1/system/runtime-config/history", {"limit", "before"}),
    ],
)
def test_parameters_that_the_commands_use_are_in_it(client: FlaskClient, path: str, names: set[str]) -> None:
    parameters = reference(client)["paths"][path]["get"]["parameters"]

    assert names <= {each["name"] for each in parameters}


def test_every_body_is_shown(client: FlaskClient) -> None:
    bare = [
        path
        for path, operations in reference(client)["paths"].items()
        for method, operation in operations.items()
        if method == "post" and path.startswith("/api/")
        for content in [operation["requestBody"]["content"]["application/json"]]
        if content["schema"] == {"type": "object"} and "example" not in content
    ]
    assert bare == []

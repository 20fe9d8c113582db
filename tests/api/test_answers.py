"""The reference says what a running server answers: schemas, examples, parameters, summaries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from flask.testing import FlaskClient

from app import bootstrap
from app.api import create_app
from app.evidence import ingest
from tests.support.rounds import run_round
from tests.support.system import System
from tests.support.waiting import wait_until

#: GETs whose answer is not recorded in app/api/answers.json yet: they have no schema
UNRECORDED = {"/api/v1/system/baselines", "/api/v1/system/benchmarks/estimate"}
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
        if "get" not in operations or path in UNRECORDED or any(part in path for part in ELSEWHERE):
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
        assert said, f"{path} has no schema: record its answer in app/api/answers.json"
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

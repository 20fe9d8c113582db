"""What ends up in keys and indexes is bounded and printable, wherever it is given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import bootstrap
from app.api import create_app
from tests.support.system import System

SYSTEM = "/api/v1/system"
COMPLETION = {"model": "auto", "messages": [{"role": "user", "content": "x"}]}
BAD = ["x" * 101, "a\tb", "a\x1b[31m", "a\x85b", "a\u202eb"]


@pytest.fixture
def client(system: System) -> Iterator[FlaskClient]:
    running = bootstrap.start(system.services, seed=1)
    yield create_app(running).test_client()
    running.stop()


def sent(client: FlaskClient, path: str, body: dict[str, Any]) -> tuple[int, str]:
    """Status, and the field that the error names."""
    answer = client.post(path, json=body)
    error = answer.get_json().get("error") or {}
    return answer.status_code, error.get("field") or error.get("param")


@pytest.mark.parametrize("text", BAD)
def test_a_name_that_no_index_should_hold_is_refused_by_its_field(client: FlaskClient, text: str) -> None:
    tried = [
        ("/api/v1/chat", {"message": "x", "segment": text}, "segment"),
        ("/api/v1/chat", {"message": "x", "provider": text}, "provider"),
        ("/v1/chat/completions", {**COMPLETION, "segment": text}, "segment"),
        ("/api/v1/feedback", {"requestId": text, "score": 1}, "requestId"),
        (f"{SYSTEM}/keys", {"name": text, "scopes": ["chat"]}, "name"),
        (f"{SYSTEM}/keys", {"name": "n", "scopes": ["chat"], "segment": text}, "segment"),
        (f"{SYSTEM}/benchmarks", {"providers": [text]}, "providers.0"),
        (f"{SYSTEM}/benchmarks", {"prompts": [text]}, "prompts.0"),
        (f"{SYSTEM}/runtime-config", {"segments": {text: {}}}, f"segments.{text[:100]}"),
    ]
    assert [sent(client, path, body) for path, body, _ in tried] == [(400, field) for *_, field in tried]


def test_longer_texts_are_bounded_too(client: FlaskClient) -> None:
    tried = [
        ("/v1/chat/completions", {**COMPLETION, "model": "x" * 301}, "model"),
        ("/api/v1/feedback", {"requestId": "r", "score": 1, "comment": "x" * 4001}, "comment"),
        (f"{SYSTEM}/runtime-config", {"explorationRate": 0.1, "updatedBy": "a\x1bb"}, "updatedBy"),
        (f"{SYSTEM}/runtime-config", {"explorationRate": 0.1, "reason": "x" * 1001}, "reason"),
    ]
    assert [sent(client, path, body) for path, body, _ in tried] == [(400, field) for *_, field in tried]
    refused = client.get(f"{SYSTEM}/scorecard", query_string={"segment": "x" * 101})
    assert (refused.status_code, refused.get_json()["error"]["field"]) == (400, "segment")


def test_a_document_with_a_name_that_no_request_can_give_is_not_imported(client: FlaskClient) -> None:
    document = client.get(f"{SYSTEM}/runtime-config").get_json()["data"]
    assert sent(client, f"{SYSTEM}/runtime-config/import", {"document": {**document, "segments": {"a\tb": {}}}}) == (
        400,
        "document.segments.a\tb",
    )


@pytest.mark.parametrize("text", ["x" * 100, "Prämie 会员", "a b/c:d"])
def test_names_of_all_scripts_are_taken(client: FlaskClient, text: str) -> None:
    assert client.post("/api/v1/chat", json={"message": "x", "segment": text}).status_code == 200
    assert client.post("/v1/chat/completions", json={**COMPLETION, "segment": text}).status_code == 200
    assert client.post("/api/v1/feedback", json={"requestId": text, "score": 1}).status_code == 202
    assert client.get(f"{SYSTEM}/scorecard", query_string={"segment": text}).status_code == 200

"""What is written down of a request for vectors, and that it is nothing that chat is ranked by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import text

from app.evidence import ingest
from app.store import database
from tests.support.front import Served, served
from tests.support.waiting import wait_until


@pytest.fixture
def api(database_url: str, redis_url: str, tmp_path: Path) -> Any:
    with served(tmp_path, database_url, redis_url) as running:
        yield running


def get(api: Served, path: str) -> Any:
    return requests.get(f"{api.url}{path}", timeout=30)


def test_it_is_logged_counted_and_explained_and_no_evidence(api: Served) -> None:
    services = api.running.gateway.services
    body = {"model": "text-embedding-3-small", "input": ["one two", "three"]}
    answer = requests.post(f"{api.url}/v1/embeddings", json=body, timeout=30)
    tokens, name = answer.json()["usage"]["prompt_tokens"], answer.headers["x-tooloo-request-id"]

    def logged() -> bool:
        ingest.ingest(services)
        return get(api, f"/api/v1/requests/{name}").status_code == 200

    wait_until(logged)
    told = get(api, f"/api/v1/requests/{name}").json()["data"]
    assert (told["asked"], told["status"]) == ("text-embedding-3-small", "ok")
    assert (told["provider"], told["model"]) == ("openai", "text-embedding-3-small")
    assert told["tokens"]["prompt"] == tokens
    assert told["cost"] > 0
    assert told["explanation"]["order"] == ["openai/text-embedding-3-small"]
    usage = get(api, "/api/v1/system/usage?by=model").json()["data"]["usage"]
    assert [(row["model"], row["requests"], row["promptTokens"]) for row in usage] == [
        ("text-embedding-3-small", 1, tokens)
    ]
    metrics = get(api, "/metrics").text
    assert 'tooloo_attempts_total{model="text-embedding-3-small",outcome="ok",provider="openai"} 1.0' in metrics
    assert 'tooloo_embedding_seconds_count{provider="openai"} 1.0' in metrics
    assert 'tooloo_request_seconds_count{provider="openai"}' not in metrics
    with database.transaction(services.sessions) as session:
        assert session.execute(text("SELECT count(*) FROM outcomes")).scalar() == 0

"""Keys as Anthropic's clients send them, and what becomes of them where they are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app import bootstrap
from app.api import create_app
from tests.support.system import build

KEYS = {"TOOLOO_ADMIN_KEY": "admin-key", "TOOLOO_API_KEY": "chat-key", "TOOLOO_HOST": "0.0.0.0"}  # noqa: S104 - never served
ASKED: dict[str, Any] = {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x-api-key": "chat-key"}, 200),
        ({"Authorization": "Bearer chat-key"}, 200),
        ({"x-api-key": "other"}, 401),
        ({}, 401),
    ],
)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens", "/v1/models", "/v1/models/auto"])
def test_a_key_is_taken_either_way(
    database_url: str, redis_url: str, tmp_path: Path, path: str, headers: dict[str, str], status: int
) -> None:
    system = build(database_url, redis_url, tmp_path, KEYS)
    running = bootstrap.start(system.services, seed=1)
    client = create_app(running).test_client()
    told = headers | {"anthropic-version": "2023-06-01"}

    response = client.get(path, headers=told) if "models" in path else client.post(path, json=ASKED, headers=told)

    assert response.status_code == status
    body = response.get_json()
    if status == 401:
        assert (body["type"], body["error"]["type"]) == ("error", "authentication_error")
        assert body["request_id"] == response.headers["request-id"]
    response.close()
    running.stop()
    system.close()

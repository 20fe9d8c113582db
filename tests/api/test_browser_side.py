"""What a browser may do here, and what it keeps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from app import bootstrap
from app.api import create_app
from tests.support.system import System

SYSTEM = "/api/v1/system"
WRITES = ("/api/v1/chat", f"{SYSTEM}/runtime-config", "/v1/chat/completions", "/v1/messages")
ELSEWHERE = (
    "http://evil.example",
    "https://evil.example:4000",
    "https://127.0.0.1.evil.example",
    "http://127.0.0.1@evil.example",
    "http://[::1].evil.example",
    "http://[",
    "http://",
    "null",
)
HERE = ("http://127.0.0.1:4000", "http://localhost:3000", "http://[::1]:80", "app://obsidian.md", "vscode-file://x")
DATA = {
    f"{SYSTEM}/runtime-config": 200,
    f"{SYSTEM}/scorecard": 200,
    f"{SYSTEM}/benchmark-results": 200,
    "/api/v1/requests": 200,
    "/api/v1/requests/none": 404,
    "/v1/models": 200,
    "/healthz": 200,
    "/readyz": 200,
    "/openapi.json": 200,
    "/nothing": 404,
}


@pytest.fixture
def client(system: System) -> Iterator[FlaskClient]:
    running = bootstrap.start(system.services, seed=1)
    yield create_app(running).test_client()
    running.stop()


def test_a_page_of_anywhere_else_changes_and_spends_nothing(client: FlaskClient) -> None:
    change = {"message": "a", "explorationRate": 0.2, "reason": "a page wants it"}
    answered = {
        (path, origin): client.post(path, json=change, headers={"Origin": origin})
        for path in WRITES
        for origin in ELSEWHERE
    }

    assert {key: each.status_code for key, each in answered.items()} == dict.fromkeys(answered, 403)
    assert all("may not call this" in each.get_data(as_text=True) for each in answered.values())


def test_a_page_of_this_machine_and_what_is_no_page_may(client: FlaskClient) -> None:
    status = {
        origin: client.post("/api/v1/chat", json={"message": "a"}, headers={"Origin": origin}).status_code
        for origin in HERE
    }

    assert status == dict.fromkeys(HERE, 200)


def test_no_answer_is_kept_or_is_a_page_or_is_given_to_a_foreign_script(client: FlaskClient) -> None:
    answered = {path: client.get(path, headers={"Origin": "http://evil.example"}) for path in DATA}
    answered["/api/v1/chat"] = client.post("/api/v1/chat", json={"message": "a"})
    asked = {"model": "auto", "messages": [{"role": "user", "content": "a"}]}
    answered["/v1/chat/completions"] = client.post("/v1/chat/completions", json=asked)

    assert {path: each.status_code for path, each in answered.items()} == dict.fromkeys(answered, 200) | DATA
    for path, each in answered.items():
        # what has an ETag may be kept by who asked, to be asked for again each time
        kept = "private, no-cache" if "ETag" in each.headers else "no-store"
        assert (path, each.headers["Cache-Control"]) == (path, kept)
        assert each.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert each.headers["X-Content-Type-Options"] == "nosniff"
        assert [name for name in dict(each.headers) if name.startswith("Access-Control")] == []


def test_what_is_a_page_runs_nothing_but_our_own_files(client: FlaskClient) -> None:
    for path in ("/", "/rounds", "/config", "/keys", "/docs", "/web/page.js", "/web/style.css"):
        policy = client.get(path).headers["Content-Security-Policy"]

        assert policy.startswith("default-src 'self'"), path
        assert "unsafe" not in policy, path
        assert "frame-ancestors 'none'" in policy, path


def test_a_wrong_method_is_told_the_right_ones(client: FlaskClient) -> None:
    allowed = {
        (method, path): set(client.open(path, method=method, json={}).headers.get("Allow", "").split(", "))
        for method, path in (
            ("DELETE", f"{SYSTEM}/runtime-config"),
            ("GET", "/api/v1/chat"),
            ("POST", f"{SYSTEM}/scorecard"),
        )
    }

    assert list(allowed.values()) == [
        {"GET", "POST", "HEAD", "OPTIONS"},
        {"POST", "OPTIONS"},
        {"GET", "HEAD", "OPTIONS"},
    ]

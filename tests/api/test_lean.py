"""Flask without what no route uses: it finds the same routes, and answers as it did."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask, request, session
from flask.testing import FlaskClient

from app import bootstrap
from app.api import create_app
from app.api.lean import Finished, LeanFlask
from tests.support.system import System


@pytest.fixture
def client(system: System) -> Iterator[FlaskClient]:
    running = bootstrap.start(system.services, seed=1)
    yield create_app(running).test_client()
    running.stop()


def test_each_route_without_variables_is_the_one_that_a_search_finds(client: FlaskClient) -> None:
    app = client.application
    fixed = [rule for rule in app.url_map.iter_rules() if not rule.arguments]
    for rule in fixed:
        for method in rule.methods or ():
            with app.test_request_context(rule.rule, method=method):
                found = request.url_rule
            searched, values = app.url_map.bind("").match(rule.rule, method, return_rule=True)
            assert (found, values) == (searched, {})
    assert fixed


def test_a_chat_is_found_without_a_search(client: FlaskClient) -> None:
    app = client.application
    app.url_map.bind_to_environ = None  # type: ignore[assignment,method-assign]  # a search would fail
    with app.test_request_context("/v1/chat/completions", method="POST"):
        assert request.endpoint == "openai.chat_completions"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/chat/completions", 404), ("POST", "/healthz", 405), ("GET", "/none", 404), ("HEAD", "/healthz", 200)],
)
def test_what_is_not_served_is_said_as_before(client: FlaskClient, method: str, path: str, status: int) -> None:
    assert client.open(path, method=method, json={} if method == "POST" else None).status_code == status


def _made(app: Flask) -> FlaskClient:
    @app.get("/whole")
    def whole() -> Finished:
        return Finished(b"body", 200, {"x-more": "1"}, "text/plain")

    @app.get("/session")
    def of_session() -> dict[str, str]:
        return dict(session)

    if isinstance(app, LeanFlask):
        app.learn_routes()
    return app.test_client()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_finished_answer_has_the_headers_that_flask_gives_it(method: str) -> None:
    lean, flask = _made(LeanFlask("lean")), _made(Flask("flask", static_folder=None))
    mine, theirs = lean.open("/whole", method=method), flask.open("/whole", method=method)
    assert (mine.data, mine.headers) == (theirs.data, theirs.headers)


def test_there_is_an_empty_session() -> None:
    assert _made(LeanFlask("lean")).get("/session").get_json() == {}

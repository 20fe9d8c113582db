"""Flask without what no route uses: it finds the same routes, and answers as it did."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Blueprint, Flask, Response, current_app, g, request, session
from flask.testing import FlaskClient

from app import bootstrap
from app.api import STRAIGHT, create_app
from app.api.lean import Answer, LeanFlask
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


def _noted(what: str) -> None:
    g.called = [*g.get("called", []), what]


def _hook(where: Flask | Blueprint, name: str) -> None:
    """Before and behind its views, noted in the answer."""

    @where.before_request
    def before() -> None:
        _noted(f"before {name}")

    @where.after_request
    def after(response: Response) -> Response:
        _noted(f"after {name}")
        response.headers["x-called"] = " ".join(g.called)
        return response


def _views(where: Blueprint) -> None:
    @where.route("/said", methods=["GET", "POST"])
    def said() -> Response:
        _noted(f"view {request.endpoint} {current_app.name} {request.get_data(as_text=True)}")
        return Response(b"body", 201, {"x-more": "1"}, content_type="text/plain")

    @where.post("/key")
    def key() -> Response:
        raise KeyError("a")

    @where.post("/index")
    def index() -> Response:
        raise IndexError("b")


def _made(app: Flask, *straight: str) -> FlaskClient:
    """An application with routes that say what was called, and in which order."""
    outer, inner = Blueprint("outer", __name__), Blueprint("inner", __name__)
    for where, name in ((app, "app"), (outer, "outer"), (inner, "inner")):
        _hook(where, name)
    _views(inner)
    app.errorhandler(LookupError)(lambda error: Response(f"lost {error}", 410))
    inner.errorhandler(KeyError)(lambda error: (f"no key {error}", 409))
    app.get("/session")(lambda: dict(session))
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    if isinstance(app, LeanFlask):
        app.learn_routes(straight)
    return app.test_client()


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/said"), ("GET", "/said"), ("POST", "/key"), ("POST", "/index")]
)
def test_what_is_served_straight_is_answered_as_flask_answers_it(method: str, path: str) -> None:
    lean = _made(LeanFlask("same"), "/said", "/key", "/index")
    flask = _made(Flask("same", static_folder=None))
    mine, theirs = (client.open(path, method=method, data=b"asked") for client in (lean, flask))
    assert (mine.status, mine.data, dict(mine.headers)) == (theirs.status, theirs.data, dict(theirs.headers))
    assert mine.headers["x-called"].startswith("before app before outer before inner ")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_an_answer_is_the_same_served_straight_and_by_flask(method: str) -> None:
    app = LeanFlask("lean")

    @app.route("/whole", methods=["GET", "POST"])
    def whole() -> Answer:
        return Answer.whole(b"{}", 200, {"x-more": "1"})

    @app.route("/pieces", methods=["GET", "POST"])
    def pieces() -> Answer:
        return Answer(iter([b"a", b"b"]), 200, {"Content-Type": "text/event-stream"})

    app.learn_routes(["/whole", "/pieces"])
    client = app.test_client()
    found = client.open("/whole", method=method)
    expected = {"Content-Type": "application/json", "Content-Length": "2", "x-more": "1"}
    assert (found.status_code, found.data, dict(found.headers)) == (200, b"" if method == "HEAD" else b"{}", expected)
    streamed = client.open("/pieces", method=method)
    assert streamed.data == (b"" if method == "HEAD" else b"ab")
    assert dict(streamed.headers) == {"Content-Type": "text/event-stream"}


def test_each_way_to_a_model_is_served_straight(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Flask, "wsgi_app", None)  # Flask's own way would fail
    for path in STRAIGHT:
        assert client.post(path, json={}).status_code == 400, path


def test_there_is_an_empty_session() -> None:
    assert _made(LeanFlask("lean")).get("/session").get_json() == {}

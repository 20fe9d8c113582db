"""Flask without what it does at every request for features that no route of ours uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from flask import Flask, Request, Response
from flask.globals import _cv_app, _cv_request
from flask.sessions import NullSession, SessionInterface
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.routing import Map, MapAdapter, Rule


class LeanFlask(Flask):
    """Looks for no session, and looks a route without variables up: to search for it costs several times as much.

    Call `learn_routes` when all routes and hooks are there: those that are to be served straight are, with the hooks,
    views and error handlers that Flask has for them and nothing else. Its signals, teardown functions and sessions,
    which nothing here uses, take a fifth of what a chat costs.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, static_folder=None)
        self.session_interface = _NoSessions()
        #: by method and path
        self._found: dict[tuple[str, str], MapAdapter] = {}
        self._straight: dict[tuple[str, str], _Straight] = {}

    def learn_routes(self, straight: Iterable[str] = ()) -> None:
        """`straight`: paths of which each POST is served straight."""
        search = self.url_map.bind("")
        for rule in [rule for rule in self.url_map.iter_rules() if not rule.arguments]:
            for method in (rule.methods or set()) - {"OPTIONS"}:
                found, _ = search.match(rule.rule, method, return_rule=True)
                self._found[method, rule.rule] = _Found(self.url_map, found)
        for path in straight:
            self._straight["POST", path] = self._learned(search.match(path, "POST", return_rule=True)[0])

    def _learned(self, rule: Rule) -> _Straight:
        # as Flask has it: outer hooks go first before a view, and last behind it
        names = (None, *reversed(_blueprints(rule.endpoint)))
        return _Straight(
            rule,
            self.view_functions[rule.endpoint],
            [hook for name in names for hook in self.before_request_funcs.get(name, ())],
            [hook for name in reversed(names) for hook in reversed(self.after_request_funcs.get(name, ()))],
        )

    def wsgi_app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        straight = self._straight.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        if straight is None:
            return super().wsgi_app(environ, start_response)
        request = self.request_class(environ)
        request.url_rule, request.view_args = straight.rule, {}
        context = _Context(self, request)
        tokens = _cv_app.set(context), _cv_request.set(context)  # type: ignore[arg-type]  # has what is read of them
        try:
            response: Response | Answer = self._answered(straight)
            return response(environ, start_response)
        finally:
            _cv_request.reset(tokens[1])
            _cv_app.reset(tokens[0])

    def _answered(self, straight: _Straight) -> Any:
        try:
            for check in straight.before:
                check()
            response = straight.view()
        except Exception as error:  # noqa: BLE001  # the blueprint has a handler for each
            response = self.handle_user_exception(error)
        if not isinstance(response, Answer | Response):
            response = self.make_response(response)
        for hook in straight.after:
            response = hook(response)
        return response

    def make_response(self, rv: Any) -> Response:
        """An Answer too, where Flask serves the route."""
        if isinstance(rv, Answer):
            return Response(rv.body, rv.status_code, rv.headers, direct_passthrough=not isinstance(rv.body, list))
        return super().make_response(rv)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is None or "HTTP_UPGRADE" in request.environ:
            return super().create_url_adapter(request)
        return self._found.get((request.method, request.path)) or super().create_url_adapter(request)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """No view or hook of ours is a coroutine."""
        return func


class _Straight(NamedTuple):
    """A route with all that is called for it. No hook before a view answers in its place."""

    rule: Rule
    view: Callable[[], Any]
    before: list[Callable[[], Any]]
    after: list[Callable[[Any], Any]]


class _Context:
    """What flask.request, g, session and current_app look at."""

    __slots__ = ("app", "g", "request", "session", "url_adapter")

    def __init__(self, app: LeanFlask, request: Request) -> None:
        self.app = app
        self.request = request
        self.g = app.app_ctx_globals_class()
        self.session = NullSession()
        self.url_adapter = None


def _blueprints(endpoint: str) -> list[str]:
    """The route's own first."""
    names = endpoint.split(".")[:-1]
    return [".".join(names[:end]) for end in range(len(names), 0, -1)]


class _Found(MapAdapter):
    """The end of a search for a route."""

    def __init__(self, routes: Map, rule: Rule) -> None:
        super().__init__(routes, "", "/", "", "http", "/", "GET")
        self._rule = rule

    def match(self, *_: Any, **__: Any) -> Any:
        """The rule, and the values of its variables: it has none."""
        return self._rule, {}


class _NoSessions(SessionInterface):
    def __init__(self) -> None:
        self._none = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return self._none


class Answer:
    """An answer that is sent as it is: its headers are all there is, and a body in one piece is in a list.

    Flask's own Response works at each of them for longer than a gateway's decision takes.
    """

    __slots__ = ("body", "headers", "status_code")

    def __init__(self, body: Iterable[bytes], status_code: int, headers: dict[str, str]) -> None:
        self.body = body
        self.status_code = status_code
        self.headers = headers

    @classmethod
    def whole(cls, data: bytes, status_code: int, headers: Mapping[str, str] | None = None) -> Answer:
        """JSON."""
        said = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        return cls([data], status_code, said if headers is None else {**said, **headers})

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response(f"{self.status_code} {HTTP_STATUS_CODES.get(self.status_code, '-')}", list(self.headers.items()))
        return self.body

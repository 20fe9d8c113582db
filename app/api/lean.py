"""Flask without what it does at every request for features that no route of ours uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import Map, MapAdapter, Rule


class LeanFlask(Flask):
    """Looks for no session, and looks a route without variables up: to search for it costs several times as much.

    Call `learn_routes` when all of them are there.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, static_folder=None)
        self.session_interface = _NoSessions()
        #: by method and path
        self._found: dict[tuple[str, str], MapAdapter] = {}

    def learn_routes(self) -> None:
        search = self.url_map.bind("")
        for rule in [rule for rule in self.url_map.iter_rules() if not rule.arguments]:
            for method in (rule.methods or set()) - {"OPTIONS"}:
                found, _ = search.match(rule.rule, method, return_rule=True)
                self._found[method, rule.rule] = _Found(self.url_map, found)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is None or "HTTP_UPGRADE" in request.environ:
            return super().create_url_adapter(request)
        return self._found.get((request.method, request.path)) or super().create_url_adapter(request)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """No view or hook of ours is a coroutine."""
        return func


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


class Finished(Response):
    """An answer with all its headers: none has to be worked out when it is sent."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "HEAD":
            return super().__call__(environ, start_response)
        start_response(self.status, self.headers.to_wsgi_list())
        body: Iterable[bytes] = self.response  # type: ignore[assignment]  # it was given bytes
        return body

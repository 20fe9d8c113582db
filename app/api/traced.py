"""The span of each API request, from when its body is there until its answer has been sent; where traces are on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request

from app.api.edge import HEALTH, Environ, Held, Wsgi

if TYPE_CHECKING:
    from app.tracing.spans import ServerSpan, Tracing

#: W3C's, in the WSGI environment
_SENT = {"HTTP_TRACEPARENT": "traceparent", "HTTP_TRACESTATE": "tracestate"}


def attach(app: Flask, tracing: Tracing) -> None:
    from app.tracing.spans import name_route

    def name(response: Response) -> Response:
        if request.url_rule is not None:
            name_route(request.method, request.url_rule.rule)
        return response

    app.wsgi_app = _serving(app.wsgi_app, tracing)  # type: ignore[assignment,method-assign]  # Flask's way
    app.after_request(name)


def _serving(serve: Wsgi, tracing: Tracing) -> Wsgi:
    def traced(environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") in HEALTH:
            return serve(environ, start)
        begun = _Begun(start)
        span = _span(tracing, environ)
        try:
            return Held(serve(environ, begun), lambda: span.end(begun.status))
        except BaseException:
            span.end(None)
            raise

    return traced


def _span(tracing: Tracing, environ: Environ) -> ServerSpan:
    method = environ["REQUEST_METHOD"]
    attributes = {
        "http.request.method": method,
        "url.path": environ.get("PATH_INFO", ""),
        "url.scheme": environ["wsgi.url_scheme"],
        "server.address": environ["SERVER_NAME"],
    }
    return tracing.served(method, {name: environ[key] for key, name in _SENT.items() if key in environ}, attributes)


class _Begun:
    """WSGI's start_response, which remembers the status."""

    __slots__ = ("_start", "status")

    def __init__(self, start: Callable[..., Any]) -> None:
        self._start = start
        self.status: int | None = None

    def __call__(self, status: str, *rest: Any) -> Any:
        self.status = int(status[:3])
        return self._start(status, *rest)

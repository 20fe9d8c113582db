"""The HTTP API: thin views over the two main paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Response

from app.api import auth, chat, current, envelope, feedback, health, openapi, prometheus, requests, web
from app.api.auth import Guard
from app.api.openai import routes
from app.api.system import keys, measurements, round_events, runtime_config
from app.bootstrap import Running

#: bytes of the largest body taken
MAX_BODY = 4 * 1024 * 1024


class _Flask(Flask):
    """Without what Flask does for views that are coroutines, at each call of a view or a hook: ours are none."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


def create_app(running: Running) -> Flask:
    app = _Flask("tooloo", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.after_request(_show_name)
    envelope.handle_errors(app)
    services = running.gateway.services
    auth.protect(app, Guard(services.settings, services.keys, running.limits))
    current.attach(app, running.gateway, running.watch)
    for blueprint in (
        web.web,
        health.health,
        runtime_config.runtime_config,
        keys.keys,
        measurements.system,
        round_events.round_events,
        chat.chat,
        feedback.feedback,
        routes.openai,
        requests.requests,
        prometheus.metrics,
        openapi.openapi,
    ):
        app.register_blueprint(blueprint)
    return app


def _show_name(response: Response) -> Response:
    response.headers["X-Request-Id"] = envelope.request_id()
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response

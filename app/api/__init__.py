"""The HTTP API: thin views over the two main paths."""

from __future__ import annotations

from flask import Flask, Response

from app.access.sessions import Ended
from app.api import (
    allowed,
    audited,
    auth,
    chat,
    compact,
    current,
    edge,
    envelope,
    feedback,
    front,
    health,
    openapi,
    pages,
    prometheus,
    proxied,
    request_list,
    requests,
    session,
    traced,
    web,
)
from app.api.anthropic import routes as anthropic_routes
from app.api.auth import Guard
from app.api.lean import LeanFlask
from app.api.openai import routes
from app.api.system import (
    attention,
    audit,
    comparing,
    keys,
    measurements,
    round_events,
    runtime_config,
    spend,
    timeline,
)
from app.bootstrap import Running

#: what serves models: requests of which there are many
STRAIGHT = (
    *("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens"),
    *("/v1/embeddings", "/api/v1/chat"),
)


def create_app(running: Running) -> Flask:
    app = LeanFlask("tooloo")
    app.after_request(_show_name)
    audited.attach(app)
    compact.attach(app)
    envelope.handle_errors(app)
    services = running.gateway.services
    app.config["MAX_CONTENT_LENGTH"] = services.settings.max_body
    limits = services.policy.gateway
    gate = edge.Gate(limits.in_flight, limits.in_flight_per_key)
    serve = proxied.behind(edge.renamed(edge.bounded(app.wsgi_app, gate)), services.settings)
    app.wsgi_app = serve  # type: ignore[assignment,method-assign]  # Flask's way
    if services.tracing is not None:
        traced.attach(app, services.tracing)
    app.before_request(front.answer_refused)
    auth.protect(app, _guard(running))
    current.attach(app, running.gateway, running.watch, running.responses)
    for blueprint in (
        web.web,
        pages.pages,
        session.session,
        health.health,
        runtime_config.runtime_config,
        keys.keys,
        audit.audit,
        measurements.system,
        attention.attention,
        comparing.comparing,
        timeline.timeline,
        spend.spend,
        round_events.round_events,
        chat.chat,
        feedback.feedback,
        routes.openai,
        anthropic_routes.anthropic,
        anthropic_routes.listing,
        requests.requests,
        request_list.request_list,
        prometheus.metrics,
        openapi.openapi,
    ):
        app.register_blueprint(blueprint)
    app.learn_routes(STRAIGHT)
    return app


def _guard(running: Running) -> Guard:
    services = running.gateway.services
    return Guard(services.settings, services.keys, running.allowances, Ended(services.redis), running.api_key_limits)


def _show_name(response: Response) -> Response:
    response.headers["X-Request-Id"] = envelope.request_id()
    response.headers["X-Content-Type-Options"] = "nosniff"
    allowed.show(response)
    # nothing is kept unasked by a browser or a proxy, and opened in one it is no page; what says otherwise keeps that
    response.headers.setdefault("Cache-Control", "private, no-cache" if "ETag" in response.headers else "no-store")
    response.headers.setdefault("Content-Security-Policy", web.NO_PAGE)
    return response

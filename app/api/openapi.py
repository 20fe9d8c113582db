"""GET /openapi.json and GET /docs: the reference of every route of this app, made from the routes themselves."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, current_app
from pydantic import BaseModel
from werkzeug.routing import Rule

from app.api import auth
from app.api.anthropic.request import CountRequest, MessagesRequest
from app.api.chat import ChatBody
from app.api.envelope import json_response
from app.api.feedback import FeedbackBody
from app.api.openai.completions import CompletionRequest
from app.api.openai.embeddings import EmbeddingRequest
from app.api.openai.fields import ChatCompletionRequest
from app.api.pages import blueprint
from app.api.responses.request import ResponsesRequest
from app.api.system.comparing import WhatIfBody
from app.api.system.keys import ChangeBody, KeyBody, RevokeBody
from app.api.system.measurements import BenchmarkBody

#: request bodies by endpoint, where there is a model of it
BODIES: Mapping[str, type[BaseModel]] = {
    "chat.answer": ChatBody,
    "openai.chat_completions": ChatCompletionRequest,
    "openai.responses.create": ResponsesRequest,
    "anthropic.messages": MessagesRequest,
    "anthropic.count_tokens": CountRequest,
    "openai.completions": CompletionRequest,
    "openai.embeddings": EmbeddingRequest,
    "system.start_benchmark": BenchmarkBody,
    "feedback.give": FeedbackBody,
    "keys.create": KeyBody,
    "keys.change": ChangeBody,
    "keys.revoke": RevokeBody,
    "comparing.what_if": WhatIfBody,
}
#: … and where there is none: an example
EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "runtime_config.preview": {"weights": {"latency": 0.6}},
    "runtime_config.update": {"weights": {"latency": 0.6}, "reason": "quiet week", "updatedBy": "anna"},
    "runtime_config.roll_back": {"version": 3, "reason": "latency got worse", "updatedBy": "anna"},
    "runtime_config.import_": {"document": {"features": {"smartRouting": True}}, "updatedBy": "anna"},
    "runtime_config.reset": {"reason": "begin anew", "updatedBy": "anna"},
}
_SPAN = {
    "from": "epoch ms, a time with its zone, or now-7d, which it is where nobody says",
    "to": "likewise; now where nobody says",
}
#: query parameters by endpoint
QUERIES: Mapping[str, Mapping[str, str]] = {
    "audit.entries": {"limit": "how many entries, 1 to 500", "before": "the last id of the page before"},
    "system.benchmark_results": {
        "limit": "how many rounds, 1 to 100",
        "fields": "summary: without each probe's result",
    },
    "system.insights": {"limit": "of how many rounds, 1 to 100", "fields": "summary: without the numbers behind"},
    "system.estimate_benchmark": {
        "provider": "only this one; may be repeated",
        "prompt": "only this one; may be repeated",
    },
    "system.scorecard": {
        "segment": "whose weights to rank by",
        "taskType": "default, creative, code or analysis: as it is for requests of this type",
    },
    "runtime_config.history": {"limit": "how many revisions, 1 to 100", "before": "last version of the page before"},
    "runtime_config.difference": {"from": "a version", "to": "another; the newest where it is not said"},
    "runtime_config.events": {"lastEventId": "version after which to begin; or the header Last-Event-ID"},
    "openai.responses.retrieve": {"include": "reasoning.encrypted_content: what the provider wants back"},
    "openai.responses.input_items": {
        "limit": "1 to 100; 20 where it is not said",
        "order": "desc, the newest first, or asc",
        "after": "id of the item before the first one wanted",
    },
    "anthropic_models.model_list": {
        "limit": "models in one page, 1 to 1000",
        "after_id": "only those behind this one",
        "before_id": "only those before this one",
    },
    "request_list.listed": {
        "from": "epoch ms, a time with its zone, or now-24h; else as long as the log is kept",
        "to": "the same; else now",
        "provider": "who served it",
        "model": "of the provider that served it",
        "status": "ok, client_gone, the code of the error that the caller got, or failed: every such code",
        "explored": "true or false",
        "fellOver": "true or false: did a target fail and another was called",
        "key": "name of the API key that asked",
        "segment": "of the request",
        "taskType": "default, creative, code or analysis",
        "asked": "the model asked for",
        "stream": "true or false",
        "simulated": "true or false",
        "minMs": "only those that took as long, in ms",
        "configVersion": "routed by this version",
        "tried": "provider or provider/model that was called, whether it served or not",
        "error": "code that an attempt failed with, of `tried` where both are given",
        "before": "`next` of the page before",
        "limit": "1 to 200; 50 where it is not said",
        "fields": "summary: without the explanation and what attempts said",
    },
    "comparing.baselines": _SPAN,
    "comparing.what_if": _SPAN,
    "timeline.course": {
        "from": "epoch ms, a time with its zone, or now-24h; else 24 hours before to",
        "to": "the same; else now",
        "step": "hour or day; else hour up to 14 days",
        "segment": "of this one alone",
        "taskType": "default, creative, code or analysis",
        "provider": "of this one alone",
        "model": "of this one alone",
    },
    "spend.spent": {
        "from": "epoch ms, a time with its zone, or now-30d: from the start of its day in UTC on",
        "to": "the same; else now",
        "by": "day, key, segment, provider, model: separated by commas",
    },
    "requests.usage": {"days": "1 to 366", "by": "day, key, segment, provider, model: separated by commas"},
}
#: endpoints that stream where the request asks for it
STREAMS = {
    *("chat.answer", "openai.chat_completions", "openai.completions"),
    *("openai.responses.create", "anthropic.messages"),
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
#: how the endpoints begin that are no part of the API: the pages, and the catch-all
UNLISTED = ("openai.nothing", "anthropic.nothing", "pages.", "web.")

openapi = Blueprint("openapi", __name__)


@openapi.get("/openapi.json")
def reference() -> Response:
    """This reference, for machines."""
    return json_response(describe(current_app))


@openapi.get("/docs")
def page() -> Response:
    """This reference, for people."""
    auth.visit()
    return blueprint.page("docs", "API")


def describe(app: Flask) -> dict[str, Any]:
    """The OpenAPI document of everything `app` serves."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {}
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        if not rule.endpoint.startswith(UNLISTED):
            for method in _methods(rule):
                paths.setdefault(path_of(rule), {})[method.lower()] = _operation(app, rule, method, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "TooLoo",
            "version": "1",
            "description": "Times are epoch milliseconds. Under /api/v1 answers are {success, data} and errors "
            "{success, error: {code, message, field?, requestId}}; under /v1 both are OpenAI's, "
            "under /v1/messages Anthropic's; GET /v1/models is Anthropic's where a request has anthropic-version.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def path_of(rule: Rule) -> str:
    """`/x/<path:name>` → `/x/{name}`."""
    return re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)


def _methods(rule: Rule) -> Iterator[str]:
    return (method for method in METHODS if method in (rule.methods or ()))


def _operation(app: Flask, rule: Rule, method: str, schemas: dict[str, Any]) -> dict[str, Any]:
    summary, _, more = inspect.cleandoc(app.view_functions[rule.endpoint].__doc__ or "").partition("\n")
    operation: dict[str, Any] = {
        "operationId": f"{rule.endpoint}.{method.lower()}",
        "tags": [rule.endpoint.partition(".")[0]],
        "summary": summary or rule.endpoint.rpartition(".")[2].replace("_", " "),
        "responses": {
            "200": {"description": "done", "content": _answers(rule, method)},
            "default": {"description": "an error, with its code and what to do", "content": _error(rule)},
        },
    }
    if more.strip():
        operation["description"] = more.strip()
    if parameters := [*_in_path(rule), *_in_query(rule)]:
        operation["parameters"] = parameters
    if method in {"POST", "PUT", "PATCH"}:
        operation["requestBody"] = {"content": {"application/json": {"schema": _schema(rule, schemas), **_asked(rule)}}}
    return operation


def _asked(rule: Rule) -> dict[str, Any]:
    example = EXAMPLES.get(rule.endpoint)
    return {} if example is None else {"example": example}


def _error(rule: Rule) -> dict[str, Any]:
    """Of our own routes; under /v1 errors are those of the dialect."""
    if not rule.rule.startswith("/api/"):
        return {"application/json": {}}
    texts = {name: {"type": "string"} for name in ("code", "message", "field", "requestId")}
    error = {"type": "object", "properties": texts, "required": ["code", "message", "requestId"]}
    whole = {"success": {"const": False}, "error": error}
    example = {
        "success": False,
        "error": {"code": "not_found", "message": "there is no version 99", "requestId": "req-1f0c"},
    }
    schema = {"type": "object", "properties": whole, "required": ["success", "error"]}
    return {"application/json": {"schema": schema, "example": example}}


def _answers(rule: Rule, method: str) -> dict[str, Any]:
    """With schema and example where one is kept; an answer may have keys beside those of its schema."""
    kept = _kept().get(rule.endpoint) if method == "GET" else None
    return {"application/json": kept or {}, **({"text/event-stream": {}} if rule.endpoint in STREAMS else {})}


@cache
def _kept() -> dict[str, dict[str, Any]]:
    """By endpoint of a GET: what a running server answered, and of what types that is."""
    found: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("answers.json").read_text("utf-8"))
    return found


def _in_path(rule: Rule) -> Iterator[dict[str, Any]]:
    for name in sorted(rule.arguments):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _in_query(rule: Rule) -> Iterator[dict[str, Any]]:
    for name, meaning in QUERIES.get(rule.endpoint, {}).items():
        yield {"name": name, "in": "query", "description": meaning, "schema": {"type": "string"}}


def _schema(rule: Rule, schemas: dict[str, Any]) -> dict[str, Any]:
    model = BODIES.get(rule.endpoint)
    if model is None:
        return {"type": "object"}
    schema = model.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop("$defs", {}))
    schemas[model.__name__] = schema
    return {"$ref": f"#/components/schemas/{model.__name__}"}

"""/v1: what OpenAI's clients call. Change their base URL, and the best provider answers."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import partial

import structlog
from flask import Blueprint, Response, g, request
from werkzeug.exceptions import HTTPException

from app.api import failures
from app.api.current import gateway
from app.api.envelope import document, request_id
from app.api.lean import Finished
from app.api.openai import answer, texts
from app.api.openai import models as openai_models
from app.api.openai import request as openai_request
from app.api.openai.extras import HEADER
from app.api.responses.routes import responses
from app.api.streaming import event_stream
from app.errors import NotFound, PayloadTooLarge, TooLooError

log = structlog.get_logger()

_text = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode

openai = Blueprint("openai", __name__, url_prefix="/v1")
openai.register_blueprint(responses)


@openai.post("/chat/completions")
def chat_completions() -> Response:
    """A chat completion from the best provider, or the one that `model` names; streamed or whole."""
    ours = gateway()
    choose = partial(openai_models.choose, ours.services)
    asked = openai_request.read(texts.readable(*document()), choose, request.headers.get(HEADER))
    g.tooloo_request_id = asked.call.request_id
    if not request.headers.get("X-Request-Id"):
        g.request_id = asked.call.request_id
    created = int(time.time())
    if asked.stream:
        stream = ours.stream(asked.call)
        chunks = answer.events(stream, created, include_usage=asked.include_usage, functions=asked.functions)
        return event_stream(stream, chunks, answer.headers_of_stream(stream))
    reply = ours.chat(asked.call)
    whole = answer.completion(reply, created, functions=asked.functions)
    return _json(whole, 200, answer.headers_of_reply(reply))


@openai.get("/models")
def models() -> Response:
    """The names that `model` may have now."""
    return _json({"object": "list", "data": openai_models.listed(gateway().services)}, 200)


@openai.get("/models/<path:name>")
def model(name: str) -> Response:
    """One of them."""
    services = gateway().services
    found = [each for each in openai_models.listed(services) if each["id"] == name]
    if not found:
        openai_models.choose(services, name)  # raises, unless it is the bare name of a model
        found = [{"id": name, "object": "model", "created": 0, "owned_by": "tooloo"}]
    return _json(found[0], 200)


@openai.route("/<path:rest>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def nothing(rest: str) -> Response:
    """What this gateway does not serve, said in the shape that OpenAI's clients read."""
    served = "chat/completions, responses, messages and models"
    raise NotFound(f"there is no {request.method} /v1/{rest} here; there are {served}")


@openai.errorhandler(TooLooError)
def _ours(error: TooLooError) -> Response:
    status, shape = answer.problem(error)
    failures.logged(error, status)
    return failures.told(_json(shape, status), error)


@openai.errorhandler(HTTPException)
def _http(error: HTTPException) -> Response:
    if error.code == 413:
        return _ours(PayloadTooLarge("the body is too large"))
    status = error.code or 500
    return _json(answer.body(status, error.description or error.name, "http_error"), status)


@openai.errorhandler(Exception)
def _unforeseen(error: Exception) -> Response:
    """As app.api.envelope does it, in the other shape."""
    log.exception("unforeseen error", path=request.path, error=repr(error))
    message = f"something went wrong here; the log has it under {request_id()}"
    return _json(answer.body(500, message, "internal_error"), 500)


def _json(document: object, status: int, headers: Mapping[str, str] | None = None) -> Response:
    text = _text(document).encode("utf-8", "replace")
    return Finished(text, status, headers, "application/json")

"""/v1: what OpenAI's clients call. Change their base URL, and the best provider answers."""

from __future__ import annotations

import time
from functools import partial
from itertools import chain
from typing import Any

import structlog
from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from app.api import asking, failures
from app.api.auth import caller
from app.api.current import gateway
from app.api.envelope import as_it_is, document, request_id
from app.api.headers import header
from app.api.lean import Answer
from app.api.openai import answer, texts
from app.api.openai import completions as openai_completions
from app.api.openai import embeddings as openai_embeddings
from app.api.openai import models as openai_models
from app.api.openai import request as openai_request
from app.api.openai.extras import HEADER
from app.api.passthrough import passed_through
from app.api.responses.routes import responses
from app.api.streaming import event_stream
from app.errors import NotFound, PayloadTooLarge, TooLooError
from app.services import Services

log = structlog.get_logger()


openai = Blueprint("openai", __name__, url_prefix="/v1")
openai.register_blueprint(responses)


@openai.post("/chat/completions")
def chat_completions() -> Answer:
    """A chat completion from the best provider, or the one that `model` names; streamed or whole."""
    ours = gateway()
    choose = partial(openai_models.choose, ours.services)
    asked = openai_request.read(texts.readable(*document()), choose, header(HEADER))
    asking.named(asked.call)
    created = int(time.time())
    if asked.stream:
        stream = ours.stream(asked.call)
        chunks = answer.events(stream, created, include_usage=asked.include_usage, functions=asked.functions)
        return event_stream(stream, chunks, answer.headers_of_stream(stream, stream.dropped))
    reply = ours.chat(asked.call)
    whole = answer.completion(reply, created, functions=asked.functions)
    return as_it_is(whole, 200, answer.headers_of_reply(reply, reply.answer.dropped))


@openai.post("/completions")
def completions() -> Answer:
    """How a prompt goes on, or what belongs between it and its suffix; streamed or whole."""
    ours = gateway()
    asked = openai_completions.read(texts.readable(*document()), ours.services, header(HEADER))
    asking.named(asked.call)
    created = int(time.time())
    if asked.stream:
        stream = ours.stream(asked.call)
        chunks = openai_completions.events(stream, created, include_usage=asked.include_usage)
        return event_stream(stream, chunks, answer.headers_of_stream(stream, stream.dropped))
    reply = ours.chat(asked.call)
    return as_it_is(
        openai_completions.written(reply, created), 200, answer.headers_of_reply(reply, reply.answer.dropped)
    )


@openai.post("/embeddings")
def embeddings() -> Answer:
    """Vectors of texts, from the model that `model` names."""
    ours = gateway()
    asked = openai_embeddings.read(texts.readable(*document()), ours.services, header(HEADER))
    asking.named(asked.call)
    reply = ours.embed(asked.call)
    return as_it_is(
        openai_embeddings.written(reply, asked.encoding), 200, answer.headers_of_reply(reply, reply.answer.dropped)
    )


@openai.get("/models")
def models() -> Answer:
    """The names that `model` may have now."""
    return as_it_is({"object": "list", "data": _listed(gateway().services)}, 200)


@openai.get("/models/<path:name>")
def model(name: str) -> Answer:
    """One of them."""
    services = gateway().services
    found = [each for each in _listed(services) if each["id"] == name]
    if not found and not openai_models.embeds(services, name):
        openai_models.choose(services, name)  # raises, unless it is the bare name of a model
    if not found:
        found = [{"id": name, "object": "model", "created": 0, "owned_by": "tooloo"}]
    return as_it_is(found[0], 200)


def _listed(services: Services) -> list[dict[str, Any]]:
    limits = caller().limits
    others = (openai_models.completions(services, limits), openai_models.embeddings(services, limits))
    return [*openai_models.listed(services, limits), *chain.from_iterable(others)]


@openai.route(
    "/passthrough/<provider>/<path:path>",
    methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    provide_automatic_options=False,
    merge_slashes=False,
)
def passthrough(provider: str, path: str) -> Response:
    """What is not routed, for the provider that is named: its own answer, streamed as it comes."""
    return passed_through(provider, path)


@openai.route("/<path:rest>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def nothing(rest: str) -> Answer:
    """What this gateway does not serve, said in the shape that OpenAI's clients read."""
    served = "chat/completions, completions, responses, messages, embeddings, models, and passthrough/PROVIDER/PATH"
    raise NotFound(f"there is no {request.method} /v1/{rest} here; there are {served}")


@openai.errorhandler(TooLooError)
def _ours(error: TooLooError) -> Answer:
    status, shape = answer.problem(error)
    failures.logged(error, status)
    return failures.told(as_it_is(shape, status), error)


@openai.errorhandler(HTTPException)
def _http(error: HTTPException) -> Answer:
    if error.code == 413:
        return _ours(PayloadTooLarge("the body is too large"))
    status = error.code or 500
    return as_it_is(answer.body(status, error.description or error.name, "http_error"), status)


@openai.errorhandler(Exception)
def _unforeseen(error: Exception) -> Answer:
    """As app.api.envelope does it, in the other shape."""
    log.exception("unforeseen error", path=request.path, error=repr(error))
    message = f"something went wrong here; the log has it under {request_id()}"
    return as_it_is(answer.body(500, message, "internal_error"), 500)

"""/v1/messages and what belongs to it: what Anthropic's clients call, Claude Code among them."""

from __future__ import annotations

from functools import partial

import structlog
from flask import Blueprint, g, request
from werkzeug.exceptions import HTTPException

from app.api import asking, failures
from app.api.anthropic import answer, models
from app.api.anthropic import request as messages_request
from app.api.anthropic.events import events
from app.api.anthropic.request import Asked, CountRequest, MessagesRequest, NoThreads
from app.api.auth import caller
from app.api.current import gateway
from app.api.envelope import as_it_is, document, request_id
from app.api.headers import header
from app.api.lean import Answer
from app.api.openai import answer as openai_answer
from app.api.openai import texts
from app.api.openai.models import choose
from app.api.streaming import event_stream
from app.domain.catalog import Target, WireFormat
from app.errors import NotFound, PayloadTooLarge, TooLooError
from app.gateway import counting
from app.services import Services

log = structlog.get_logger()

#: says whether tokens were counted by the model's own provider
COUNTED = "x-tooloo-token-count"

anthropic = Blueprint("anthropic", __name__, url_prefix="/v1/messages")
#: where the edge sends Anthropic's clients that ask for /v1/models
listing = Blueprint("anthropic_models", __name__, url_prefix="/v1/anthropic/models")


@anthropic.post("")
def messages() -> Answer:
    """A message of the best provider, or the one that `model` names; streamed or whole."""
    asked = _asked(MessagesRequest)
    names = {"reasoning_effort": asked.effort_field}
    if asked.stream:
        return _streamed(asked, names)
    reply = gateway().chat(asked.call)
    response = as_it_is(answer.message(reply, thinks=asked.thinks, names=names), 200)
    dropped = answer.named(reply.answer.dropped, names)
    response.headers.update(openai_answer.headers_of_reply(reply, dropped))
    return response


def _asked(kind: type[MessagesRequest]) -> Asked:
    asked = messages_request.read(texts.readable(*document()), partial(choose, gateway().services), _headers(), kind)
    asking.named(asked.call)
    return asked


def _headers() -> dict[str, str]:
    return {name: value for name in messages_request.HEADERS if (value := header(name))}


def _streamed(asked: Asked, names: dict[str, str]) -> Answer:
    stream = gateway().stream(asked.call)
    written = events(stream, thinks=asked.thinks, signs=partial(_is_claudes, gateway().services), names=names)
    return event_stream(stream, written, openai_answer.headers_of_stream(stream, answer.named(stream.dropped, names)))


def _is_claudes(services: Services, target: Target) -> bool:
    return services.endpoints[target.provider].provider.format is WireFormat.ANTHROPIC


@anthropic.post("/count_tokens")
def count_tokens() -> Answer:
    """Tokens of a prompt: Claude's own count where Claude is first on the route, else an estimate."""
    count = counting.count(gateway(), _asked(CountRequest).call)
    response = as_it_is({"input_tokens": count.tokens}, 200)
    response.headers[COUNTED] = "exact" if count.exact else "estimated"
    response.headers["x-tooloo-target"] = str(count.target)
    return response


@listing.get("")
def model_list() -> Answer:
    """The names that `model` may have now, in Anthropic's shape."""
    return as_it_is(models.listed(gateway().services, request.args, caller().limits), 200)


@listing.get("/<path:name>")
def model(name: str) -> Answer:
    """One of them, in Anthropic's shape."""
    return as_it_is(models.one(gateway().services, name), 200)


@anthropic.route("/<path:rest>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def nothing(rest: str) -> Answer:
    """What this gateway does not serve, said in the shape that Anthropic's clients read."""
    raise NotFound(f"there is no {request.method} /v1/messages/{rest} here; there are messages and count_tokens")


def _name() -> str:
    """How the request is called in errors and in the log."""
    return str(g.get("tooloo_request_id") or request_id())


@anthropic.errorhandler(TooLooError)
@listing.errorhandler(TooLooError)
def _ours(error: TooLooError) -> Answer:
    status, shape = answer.problem(error, _name())
    if isinstance(error, NoThreads):
        shape["error"]["details"] = error.details
    failures.logged(error, status)
    return failures.told(as_it_is(shape, status), error)


@anthropic.errorhandler(HTTPException)
@listing.errorhandler(HTTPException)
def _http(error: HTTPException) -> Answer:
    if error.code == 413:
        return _ours(PayloadTooLarge("the body is too large"))
    status = error.code or 500
    return as_it_is(answer.body(status, error.description or error.name, _name()), status)


@anthropic.errorhandler(Exception)
@listing.errorhandler(Exception)
def _unforeseen(error: Exception) -> Answer:
    """As app.api.envelope does it, in the other shape."""
    log.exception("unforeseen error", path=request.path, error=repr(error))
    message = f"something went wrong here; the log has it under {_name()}"
    return as_it_is(answer.body(500, message, _name()), 500)


@anthropic.after_request
@listing.after_request
def _named(response: Answer) -> Answer:
    """As Anthropic's SDKs look for it."""
    response.headers["request-id"] = _name()
    return response

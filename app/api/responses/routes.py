"""/v1/responses: what OpenAI's newer clients call, Codex among them. Their errors are those of app.api.openai."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Blueprint, Response, request

from app.api import asking, current
from app.api.current import gateway
from app.api.envelope import as_it_is, document, json_response
from app.api.headers import header
from app.api.lean import Answer
from app.api.openai import answer as chat
from app.api.openai import models, texts
from app.api.openai.extras import HEADER
from app.api.responses import answer, events, kept
from app.api.responses.answer import Draft
from app.api.responses.request import ENCRYPTED, Asked, read
from app.api.streaming import event_stream
from app.errors import InvalidRequest
from app.store.responses import Kept

responses = Blueprint("responses", __name__)

#: of a page of input items
_MOST, _USUAL = 100, 20

Keep = Callable[[dict[str, Any]], dict[str, Any]]


@responses.post("/responses")
def create() -> Answer:
    """A response from the best provider, or the one that `model` names; streamed or whole."""
    past = kept.Past(current.responses(), kept.owner())
    choose = partial(models.choose, gateway().services)
    asked = read(texts.readable(*document()), choose, past, header(HEADER))
    asking.named(asked.call)
    draft = Draft(asked, keeps=_keeps(asked), created=int(time.time()))
    keep = _keep(asked, draft)
    if asked.stream:
        stream = gateway().stream(asked.call)
        return event_stream(stream, events.events(stream, draft, keep), chat.headers_of_stream(stream, stream.dropped))
    reply = gateway().chat(asked.call)
    return as_it_is(keep(answer.whole(draft, reply)), 200, chat.headers_of_reply(reply, reply.answer.dropped))


def _keeps(asked: Asked) -> bool:
    """Is the response to be kept? Raises where the caller demands it and it cannot be."""
    store = current.responses()
    if asked.wanted.store:
        store.check("store")
    return asked.wanted.store is not False and store.kept and not store.away


def _keep(asked: Asked, draft: Draft) -> Keep:
    """What keeps the response, where it is to be kept, and gives it as it is told."""
    store, whose, previous = current.responses(), kept.owner(), asked.wanted.previous_response_id

    def keep(document: dict[str, Any]) -> dict[str, Any]:
        if not draft.keeps:
            return document
        own = json.dumps(kept.named(asked.items, draft.name))
        told = json.dumps(document | {"output": draft.output.items})
        return document | {"store": store.keep(whose, Kept(draft.id, previous, own, told))}

    return keep


@responses.get("/responses/<response_id>")
def retrieve(response_id: str) -> Response:
    """A response that was kept."""
    if request.args.get("stream", "false").lower() in ("true", "1"):
        raise InvalidRequest("stream: a response that was kept is given whole: leave it out", field="stream")
    wanted = [*request.args.getlist("include"), *request.args.getlist("include[]")]
    row = kept.one(current.responses(), response_id)
    return json_response(kept.shown(row, thoughts=ENCRYPTED in wanted))


@responses.delete("/responses/<response_id>")
def delete(response_id: str) -> Response:
    """Forget a response, and what was asked. Nobody can go on from it then, nor from those that went on from it."""
    if not current.responses().remove(kept.owner(), response_id):
        raise kept.missing(response_id)
    return json_response({"id": response_id, "object": "response", "deleted": True})


@responses.get("/responses/<response_id>/input_items")
def input_items(response_id: str) -> Response:
    """What was asked: the items of that request, without those of responses before it."""
    found = kept.listed(kept.one(current.responses(), response_id))
    order, limit, after = request.args.get("order", "desc"), _limit(), request.args.get("after")
    if order not in ("asc", "desc"):
        raise InvalidRequest(f"order: {order!r} is none: asc and desc are", field="order")
    if order == "desc":
        found.reverse()
    if after is not None:
        ids = [item["id"] for item in found]
        if after not in ids:
            raise InvalidRequest(f"after: no item {after!r} is among them", field="after")
        found = found[ids.index(after) + 1 :]
    page = found[:limit]
    first, last = (page[0]["id"], page[-1]["id"]) if page else ("", "")
    more = len(found) > limit
    return json_response({"object": "list", "data": page, "first_id": first, "last_id": last, "has_more": more})


def _limit() -> int:
    given = request.args.get("limit", str(_USUAL))
    if not given.isascii() or not given.isdigit() or not 1 <= int(given[:9]) <= _MOST:
        raise InvalidRequest(f"limit: must be a number from 1 to {_MOST}: got {given[:40]!r}", field="limit")
    return int(given)

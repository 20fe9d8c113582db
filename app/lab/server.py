"""The lab's HTTP server: simulated providers, each under its name, and the lab's own routes under /lab."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from aiohttp import web

from app.domain.catalog import Prompt, Provider
from app.lab import control, embeddings, reply
from app.lab.answering import AnswerFunction, reply_to
from app.lab.faults import Fault, Mistake, Refused
from app.lab.journal import Seen, refusal_of
from app.lab.playback import Playback
from app.lab.reply import End, Reply
from app.lab.state import Lab, Service
from app.lab.text import tokens
from app.lab.wire.base import Operation, Place, Stamp, to_json

#: bytes of a request; beyond: the provider's 413
MAX_BODY = 32 * 1024 * 1024

_LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?", re.IGNORECASE)

#: when a request arrived whose handler begins now, by the clock of the event loop
ARRIVED: web.AppKey[Callable[[], float]] = web.AppKey("arrived")

Witness = Callable[[str, Mapping[str, str], bytes], None]
WITNESS: web.AppKey[Witness] = web.AppKey("witness")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create_app(
    providers: Sequence[Provider],
    prompts: Sequence[Prompt],
    answer: AnswerFunction,
    *,
    profile: str = "standard",
    playback: Playback | None = None,
    seed: int | None = None,
    loopback: bool = True,
    witness: Witness | None = None,
) -> web.Application:
    """Serves `providers` at /NAME as their base URLs; each speaks its own wire format. Raises InvalidRequest.

    Not `loopback`: it is reached under whatever name its network gives it, and by whoever is on that network.
    The `witness` is told path, headers and body of every call, before it is looked at.
    """
    guards = [_only_loopback] if loopback else []
    app = web.Application(client_max_size=MAX_BODY, middlewares=[*guards, control.errors])
    app[control.LAB] = Lab(providers, prompts, answer, profile=profile, playback=playback, seed=seed)
    app[ARRIVED] = time.monotonic
    app[WITNESS] = witness or _nobody
    control.add_routes(app)
    app.router.add_route("*", "/{provider}/{path:.*}", _call)
    return app


@web.middleware
async def _only_loopback(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A page in a browser can be made to send requests here under a name of its own; then Host is that name."""
    if not _LOOPBACK.fullmatch(request.headers.get("Host", "")):
        return control.failure(403, "forbidden", "the lab answers under a loopback name only: use http://127.0.0.1")
    return await handler(request)


async def _call(request: web.Request) -> web.StreamResponse:
    arrived_s = request.app[ARRIVED]()
    lab = request.app[control.LAB]
    service = lab.services.get(request.match_info["provider"])
    if service is None:
        known = ", ".join(lab.services)
        return control.failure(404, "not_found", f"no such provider here: the lab serves {known}")
    seen = lab.journal.begin(service.provider.name, request.path, time.time())
    try:
        return await _play(request, await _decide(lab, service, request, seen, arrived_s), seen, arrived_s)
    except (asyncio.CancelledError, ConnectionError):
        if seen.outcome in ("in_progress", "answered"):
            seen.outcome = "client_gone"
        raise
    finally:
        lab.journal.end(seen)


async def _decide(lab: Lab, service: Service, request: web.Request, seen: Seen, arrived_s: float) -> Reply:
    """The whole answer, before the first byte of it is due; what is wrong with the request is answered at once."""
    try:
        return await _answer(lab, service, request, seen, arrived_s)
    except Refused as refused:
        seen.refused = refusal_of(refused)
        headers = service.quota.headers(datetime.now(UTC)) if refused.why is Fault.RATE_LIMITED else {}
        return reply.refusal(service.wire.reject(refused, seen.model), refused.why, 0.0, headers)


async def _answer(lab: Lab, service: Service, request: web.Request, seen: Seen, arrived_s: float) -> Reply:
    wire, provider = service.wire, service.provider
    place = wire.place(request.method, request.match_info["path"], request.query)
    if provider.key_env and not wire.has_key(request.headers, request.query):
        raise Refused(Mistake.MISSING_KEY)
    if place.operation is Operation.MODELS:
        return Reply(200, "application/json", reply.plain(wire.models(_served(provider)), 0.0))
    seen.model = place.model
    raw = await _body(request)
    request.app[WITNESS](request.path, request.headers, raw)
    if place.operation is Operation.EMBED:
        return _embedded(lab, service, place, raw, seen, arrived_s)
    call = wire.read(place, request.headers, raw)
    seen.model, seen.stream, seen.parameters, seen.prompt = call.model, call.stream, call.parameters, call.prompt
    if call.model not in provider.models and lab.playback is None:
        raise Refused(Mistake.UNKNOWN_MODEL)
    body = json.loads(raw)
    lab.hold_rules(service, call.model, body)
    if place.operation is Operation.COUNT:
        seen.prompt_tokens = len(tokens(call.conversation))
        return Reply(200, "application/json", reply.plain(to_json({"input_tokens": seen.prompt_tokens}), 0.0))
    lab.hold_quota(service, len(tokens(call.conversation)), arrived_s)
    course, seen.prompt_id = lab.course(service, call.prompt, call.conversation, arrived_s)
    if course.answers:
        size = len(tokens(call.conversation))
        course = course.reading(size, lab.cached(service, call.model, body, size, arrived_s))
    made = reply_to(wire, call, course, lab.answer, service.answer_rng, time.time())
    return _with_quota(service, made)


def _with_quota(service: Service, made: Reply) -> Reply:
    if made.content is not None:
        service.quota.spend(made.content.completion_tokens)
    told = service.quota.headers(datetime.now(UTC))
    return replace(made, headers={**told, **made.headers}) if told else made


def _embedded(lab: Lab, service: Service, place: Place, raw: bytes, seen: Seen, arrived_s: float) -> Reply:
    call = service.wire.read_embedding(place, raw)
    seen.model, seen.parameters, seen.prompt = call.model, call.parameters, call.inputs[0]
    if call.model not in dict(service.provider.embeddings).values():
        raise Refused(Mistake.UNKNOWN_MODEL)
    lab.hold_quota(service, sum(len(tokens(text)) for text in call.inputs), arrived_s)
    course, _ = lab.course(service, call.inputs[0], "", arrived_s)
    stamp = Stamp(created_s=int(time.time()), nonce=service.answer_rng.getrandbits(128) | 1 << 127)
    return _with_quota(service, embeddings.reply_to(service.wire, call, course, stamp))


def _nobody(path: str, headers: Mapping[str, str], body: bytes) -> None:
    """Whom a lab tells that has no witness."""


def _served(provider: Provider) -> tuple[str, ...]:
    """All that it calls a model."""
    return (*provider.models, *dict(provider.embeddings).values())


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Refused(Mistake.TOO_LARGE) from None


async def _play(request: web.Request, planned: Reply, seen: Seen, arrived_s: float) -> web.StreamResponse:
    """Sends every frame when it is due, counted from the arrival of the request."""
    _note(seen, planned)
    if planned.end is End.HANG:
        await asyncio.Event().wait()
    headers = {"x-lab-simulated": "1", **planned.headers, "Content-Type": planned.content_type}
    response = web.StreamResponse(status=planned.status, headers=headers)
    if not planned.streamed:
        response.content_length = planned.length
    loop = asyncio.get_running_loop()
    for frame in planned.frames:
        await asyncio.sleep(max(0.0, arrived_s + frame.due_ms / 1000 - loop.time()))
        if not response.prepared:
            await response.prepare(request)
        if frame is planned.frames[-1] and planned.end is End.COMPLETE:
            await response.write_eof(frame.data)
        else:
            await response.write(frame.data)
    if planned.end is End.CUT and request.transport is not None:
        request.transport.close()
        return response
    if planned.due_ms > 0:  # else it is answered at once, and nothing is due
        seen.late_ms = (loop.time() - arrived_s) * 1000 - planned.due_ms
    return response


def _note(seen: Seen, planned: Reply) -> None:
    seen.status = planned.status or None
    seen.outcome = planned.fault or "answered"
    seen.due_ms = round(planned.due_ms, 3)
    seen.cost_usd = planned.cost_usd
    if planned.content is not None:
        seen.prompt_tokens = planned.content.prompt_tokens
        seen.completion_tokens = planned.content.completion_tokens

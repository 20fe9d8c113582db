"""The lab's own routes, under /lab: profiles, what has been seen, and the position in a trace.

Answers are `{"success": true, "data": …}`, or `{"success": false, "error": {"code", "message", "field"?}}`. Writes
need `Content-Type: application/json`, which a page in a browser cannot send here unasked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from app.errors import Conflict, InvalidRequest, TooLooError
from app.lab import profiles
from app.lab.playback import Playback
from app.lab.refusals import table
from app.lab.refusals.rule import Rule
from app.lab.state import Lab

LAB = web.AppKey("lab", Lab)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_routes(app: web.Application) -> None:
    app.router.add_get("/healthz", _health)
    app.router.add_get("/lab/profiles", _profiles)
    app.router.add_patch("/lab/profiles/{provider}", _change)
    app.router.add_post("/lab/profile/{name}", _switch)
    app.router.add_post("/lab/reset", _reset)
    app.router.add_get("/lab/requests", _requests)
    app.router.add_get("/lab/refusals", _refusals)
    app.router.add_get("/lab/trace", _trace)
    app.router.add_post("/lab/trace/advance", _advance)


def failure(status: int, code: str, message: str, field: str | None = None) -> web.Response:
    error = {"code": code, "message": message, **({"field": field} if field else {})}
    return web.json_response({"success": False, "error": error}, status=status)


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except TooLooError as error:
        return failure(error.status, error.code, error.message, error.field)
    except web.HTTPException as error:
        return failure(error.status, error.reason.lower().replace(" ", "_"), error.text or error.reason)


async def _health(request: web.Request) -> web.Response:
    lab = request.app[LAB]
    trace = lab.playback.trace.name if lab.playback else None
    return web.json_response({"status": "ok", "simulated": True, "providers": list(lab.services), "trace": trace})


async def _profiles(request: web.Request) -> web.Response:
    return _data(_described(request.app[LAB]))


async def _change(request: web.Request) -> web.Response:
    changes = await _json(request)
    provider = request.match_info["provider"]
    return _data(asdict(request.app[LAB].change(provider, changes)))


async def _switch(request: web.Request) -> web.Response:
    await _json(request)
    request.app[LAB].switch(request.match_info["name"])
    return _data(_described(request.app[LAB]))


async def _reset(request: web.Request) -> web.Response:
    await _json(request)
    request.app[LAB].switch(request.app[LAB].profile_name)
    return _data(_described(request.app[LAB]))


async def _requests(request: web.Request) -> web.Response:
    last = request.query.get("last", "50")
    if not last.isdecimal():
        raise InvalidRequest(f"last: must be a number of requests: got {last!r}", field="last")
    return _data(request.app[LAB].journal.report(int(last)))


async def _refusals(request: web.Request) -> web.Response:
    """The rules by which requests are refused, and for each provider which of them hold."""
    return _data(
        {
            "rules": [_rule(rule) for rule in table.RULES.values()],
            "providers": {name: request.app[LAB].rules(service) for name, service in request.app[LAB].services.items()},
        }
    )


async def _trace(request: web.Request) -> web.Response:
    return _data(_playback(request).state(asyncio.get_running_loop().time()))


async def _advance(request: web.Request) -> web.Response:
    body = await _json(request)
    if len(body) != 1 or not set(body) <= {"to", "round", "request"}:
        raise InvalidRequest('give one of {"to": "next"}, {"round": 0}, {"request": 0}', field="to")
    playback = _playback(request)
    ((key, value),) = body.items()
    if key == "to":
        playback.advance(str(value))
    elif isinstance(value, int) and not isinstance(value, bool):
        playback.advance(key, value)
    else:
        raise InvalidRequest(f"{key}: must be a whole number: got {value!r}", field=key)
    return _data(playback.state(asyncio.get_running_loop().time()))


def _playback(request: web.Request) -> Playback:
    playback = request.app[LAB].playback
    if playback is None:
        raise Conflict("the lab plays no trace: start it with `tooloo lab serve --trace FILE`")
    return playback


def _described(lab: Lab) -> dict[str, Any]:
    known: dict[str, Any] = {"simulated": True, "profile": lab.profile_name, "available": list(profiles.names())}
    if lab.playback is not None:
        return {**known, "profile": None, "trace": lab.playback.trace.name, "providers": {}}
    described = {
        name: {**asdict(profile), "format": lab.services[name].provider.format.value, "changed": lab.changes(name)}
        for name, profile in lab.profiles.items()
    }
    return {**known, "providers": described}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "about": rule.about,
        "servers": sorted(rule.kinds),
        "models": rule.models,
        "documented": rule.source.documented,
        "source": rule.source.where,
        "byDefault": rule.by_default,
    }


def _data(data: Any) -> web.Response:
    return web.json_response({"success": True, "data": data})


async def _json(request: web.Request) -> dict[str, Any]:
    """The body, an object or nothing at all; raises InvalidRequest."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="send it with Content-Type: application/json")
    raw = await request.read()
    try:
        body = json.loads(raw or b"{}")
    except ValueError as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise InvalidRequest("the body is nested too deeply") from None
    if not isinstance(body, dict):
        raise InvalidRequest(f"the body must be a JSON object: got {type(body).__name__}")
    return body

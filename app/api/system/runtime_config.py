"""/api/v1/system/runtime-config: read it, change it, look back, go back, follow it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from app.api.auth import caller
from app.api.current import gateway
from app.api.envelope import body, ok
from app.api.names import is_reserved
from app.api.system import config_events
from app.domain.config import config_history
from app.domain.config.runtime_config import VERSION_DIGITS, RuntimeConfig, merge
from app.errors import InvalidRequest
from app.live import live_config
from app.live.live_config import Signature
from app.services import Services
from app.store import database, revisions
from app.store.models import Revision

#: longest author and reason that a revision keeps
TEXT_LIMIT = 1000
#: revisions on a page of history: as asked for by default, and at most
PAGE, PAGE_LIMIT = 20, 100

runtime_config = Blueprint("runtime_config", __name__, url_prefix="/api/v1/system/runtime-config")


@runtime_config.get("")
def show() -> Response:
    """The live document; `ETag` is its version."""
    config = gateway().services.config.value
    tag = _tag(config)
    if tag in [each.strip().removeprefix("W/") for each in request.headers.get("If-None-Match", "").split(",")]:
        return Response(status=304, headers={"ETag": tag})
    return ok(config.document(), ETag=tag)


@runtime_config.post("")
def update() -> Response:
    """Change settings in part: a new revision, honoured by every process within a second; `If-Match` guards it."""
    change = dict(body())
    by = _signature(change, "changed through the API")
    if not change:
        raise InvalidRequest("nothing to change: send at least one setting, such as {'explorationRate': 0.05}")
    services = gateway().services
    return _written(
        live_config.update(
            services.sessions,
            services.redis,
            change,
            author=by.author,
            reason=by.reason,
            if_match=by.if_match,
            evidence=by.evidence,
        )
    )


@runtime_config.post("/preview")
def preview() -> Response:
    """What a change would do, without making it: `changes`, and per task type and segment whose order of targets moves.

    The body is the change alone. Raises as the change itself would.
    """
    change = dict(body())
    config = gateway().services.config.value
    changed = merge(config, change)
    return ok(
        {
            "version": config.version,
            "changes": config_history.diff(config.document(), changed.document()),
            "orders": [each.to_json() for each in gateway().orders(changed, live_config.utc_now())],
        }
    )


@runtime_config.get("/history")
def history() -> Response:
    """Revisions, newest first; `before` is the last version of the page before."""
    limit = whole_number(request.args.get("limit", PAGE), "limit", most=PAGE_LIMIT)
    before = None if (given := request.args.get("before")) is None else whole_number(given, "before")
    return ok({"revisions": past(limit, before)})


def past(limit: int, before: int | None = None) -> list[dict[str, Any]]:
    """The latest revisions, newest first, each with what it changed."""
    with database.transaction(gateway().services.sessions) as session:
        page = revisions.page(session, before=before, limit=limit)
        earlier = revisions.documents(session, [each.parent for each in page if each.parent is not None])
        return [revision_json(each, earlier) for each in page]


@runtime_config.get("/history/<version>")
def one_version(version: str) -> Response:
    """One revision: the whole document, what it changed, who made it and why."""
    number = whole_number(version, "version")
    with database.transaction(gateway().services.sessions) as session:
        found = revisions.get(session, number)
        earlier = revisions.documents(session, [] if found.parent is None else [found.parent])
        return ok({**revision_json(found, earlier), "document": found.document})


@runtime_config.get("/diff")
def difference() -> Response:
    """What differs between the versions `from` and `to`; without `to`, the newest one."""
    start = whole_number(request.args.get("from", ""), "from")
    with database.transaction(gateway().services.sessions) as session:
        newest = revisions.page(session, before=None, limit=1)[0].version
        end = whole_number(request.args.get("to", newest), "to")
        before, after = revisions.get(session, start), revisions.get(session, end)
        return ok({"from": start, "to": end, "changes": config_history.diff(before.document, after.document)})


@runtime_config.get("/export")
def export() -> Response:
    """The bare document, as a file: what `import` takes."""
    config = gateway().services.config.value
    name = f"runtime-config-{config.version}.json"
    headers = {"ETag": _tag(config), "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(json.dumps(config.document(), indent=2) + "\n", 200, headers, "application/json")


@runtime_config.post("/rollback")
def roll_back() -> Response:
    """Bring the settings of an earlier version back, as a new revision."""
    wanted = dict(body())
    version = whole_number(wanted.pop("version", ""), "version")
    return _whole(wanted, f"rolled back to version {version}", lambda s, by: _roll_back(s, version, by))


@runtime_config.post("/import")
def import_() -> Response:
    """Take a whole document, as export gave it, for a new revision."""
    wanted = dict(body())
    if "document" not in wanted:
        raise InvalidRequest('send {"document": …} with what `export` gave', field="document")
    document = wanted.pop("document")
    return _whole(
        wanted, "imported", lambda services, by: live_config.hand_in(services.sessions, services.redis, document, by)
    )


@runtime_config.post("/reset")
def reset() -> Response:
    """Go back to the defaults, as a new revision."""
    return _whole(
        dict(body()),
        "reset to the defaults",
        lambda s, by: live_config.reset(s.sessions, s.redis, s.providers, by),
    )


@runtime_config.get("/events")
def events() -> Response:
    """Server-sent events: every revision from now on, or from the one after `Last-Event-ID` on."""
    given = request.headers.get("Last-Event-ID") or request.args.get("lastEventId")
    return config_events.response(
        gateway().services, None if given is None else whole_number(given, "Last-Event-ID", least=0)
    )


def revision_json(revision: Revision, earlier: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """One revision and what it changed; `earlier` holds its parent's document."""
    before = None if revision.parent is None else earlier.get(revision.parent)
    return {
        "version": revision.version,
        "parent": revision.parent,
        "author": revision.author,
        "reason": revision.reason,
        "timestamp": live_config.to_ms(revision.created_at),
        "evidence": revision.evidence,
        "changes": [] if before is None else config_history.diff(before, revision.document),
    }


def _roll_back(services: Services, version: int, by: Signature) -> RuntimeConfig:
    return live_config.roll_back(services.sessions, services.redis, version, by)


def _whole(wanted: dict[str, Any], reason: str, step: Callable[[Services, Signature], RuntimeConfig]) -> Response:
    """A change of the whole document; nothing else may stand in the body."""
    by = _signature(wanted, reason)
    if wanted:
        raise InvalidRequest(f"unknown field {next(iter(wanted))!r}", field=next(iter(wanted)))
    return _written(step(gateway().services, by))


def _written(config: RuntimeConfig) -> Response:
    # the caller's next read, wherever it lands, must not be older than this answer; here it lands at once
    gateway().services.config.offer(config.revision, live_config.dump(config))
    return ok(config.document(), ETag=_tag(config))


def _signature(wanted: dict[str, Any], reason: str) -> Signature:
    """Takes author and reason out of a body."""
    if not str(wanted.get("updatedBy", "")).isprintable():
        raise InvalidRequest("updatedBy must have printable characters only", field="updatedBy")
    author = _author(wanted)
    why = _text(wanted.pop("reason", reason), "reason")
    match = request.headers.get("If-Match", "").strip()
    version = None if match in {"", "*"} else match.removeprefix("W/").strip('"')
    return Signature(author, why, version, {} if caller().id is None else {"key": caller().id})


def _author(wanted: dict[str, Any]) -> str:
    own = caller().name
    author = _text(wanted.pop("updatedBy", f"key {own}" if is_reserved(own) else own), "updatedBy")
    if is_reserved(author):
        raise InvalidRequest(
            f"updatedBy: {author!r} is what TooLoo calls itself: give a name of yours", field="updatedBy"
        )
    return author


def _tag(config: RuntimeConfig) -> str:
    return f'"{config.version}"'


def whole_number(value: object, field: str, most: int = 10**VERSION_DIGITS, least: int = 1) -> int:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not text.isascii() or not text.isdigit() or len(text) > VERSION_DIGITS + 1 or not least <= int(text) <= most:
        limit = "" if most == 10**VERSION_DIGITS else f" of at most {most}"
        raise InvalidRequest(f"{field} must be a positive number{limit}: got {value!r}", field=field)
    return int(text)


def _text(value: object, field: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > TEXT_LIMIT or "\x00" in value:
        raise InvalidRequest(f"{field} must be a text of 1 to {TEXT_LIMIT} characters", field=field)
    return value.strip()

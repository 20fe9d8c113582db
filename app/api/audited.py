"""Who changed what, when, from where and under which request id: written behind every change that went through."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import structlog
from flask import Flask, Response, request

from app.api import auth
from app.api.current import gateway
from app.api.envelope import document, request_id
from app.errors import DependencyUnavailable
from app.store import audit, database

log = structlog.get_logger()

#: endpoint → what was done, and the field of the answer that says to what
ACTIONS: Mapping[str, tuple[str, str]] = {
    "runtime_config.update": ("config.update", "version"),
    "runtime_config.roll_back": ("config.rollback", "version"),
    "runtime_config.import_": ("config.import", "version"),
    "runtime_config.reset": ("config.reset", "version"),
    "keys.create": ("key.create", "id"),
    "keys.change": ("key.change", "id"),
    "keys.revoke": ("key.revoke", "id"),
    "system.start_benchmark": ("round.start", "roundId"),
}
#: posted, and they change nothing
READING = frozenset({"runtime_config.preview", "comparing.what_if"})
#: characters of what was asked for that are kept
_MOST = 4000


def attach(app: Flask) -> None:
    app.after_request(_write)


def _write(response: Response) -> Response:
    found = ACTIONS.get(request.endpoint or "")
    if found is None or response.status_code >= 300:
        return response
    action, field = found
    told = (response.get_json(silent=True) or {}).get("data", {})
    who = auth.caller()
    fields = {
        "action": action,
        "subject": str(told.get(field, ""))[:200],
        "actor": who.name,
        "key_id": who.key,
        "address": (request.remote_addr or "")[:100],
        "request_id": request_id(),
        "detail": _asked(action),
    }
    log.info("audit", **fields)
    try:
        with database.transaction(gateway().services.sessions) as session:
            audit.add(session, fields)
    except DependencyUnavailable as error:  # the line above has it
        log.error("a change is not in the audit table", reason=str(error), request=fields["request_id"])
    return response


def _asked(action: str) -> dict[str, Any]:
    """Of a config its history has the difference; nothing here holds a secret: a key's is made behind it."""
    if action.startswith("config.") or not request.content_length:
        return {}
    asked, odd = document()
    kept = not odd and isinstance(asked, dict) and len(json.dumps(asked)) <= _MOST
    return dict(asked) if kept else {}

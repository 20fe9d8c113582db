"""GET /api/v1/system/audit: who changed what; for admins only."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from app.api.current import gateway
from app.api.envelope import ok
from app.api.system.runtime_config import whole_number
from app.live import live_config
from app.store import audit as store
from app.store import database
from app.store.models import AuditEntry

#: entries of a page: as asked for by default, and at most
PAGE, PAGE_LIMIT = 50, 500

audit = Blueprint("audit", __name__, url_prefix="/api/v1/system/audit")


@audit.get("")
def entries() -> Response:
    """Changes of config and keys and started rounds, newest first; `before` is the last id of the page before."""
    limit = whole_number(request.args.get("limit", PAGE), "limit", most=PAGE_LIMIT)
    before = None if (given := request.args.get("before")) is None else whole_number(given, "before")
    return ok({"entries": past(limit, before)})


def past(limit: int, before: int | None = None) -> list[dict[str, Any]]:
    with database.transaction(gateway().services.sessions) as session:
        return [_json(each) for each in store.page(session, before, limit)]


def _json(entry: AuditEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "timestamp": live_config.to_ms(entry.at),
        "action": entry.action,
        "subject": entry.subject,
        "actor": entry.actor,
        "key": entry.key_id,
        "address": entry.address,
        "requestId": entry.request_id,
        "detail": entry.detail,
    }

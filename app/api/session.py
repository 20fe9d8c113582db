"""GET /api/v1/session: who asks."""

from __future__ import annotations

from flask import Blueprint, Response

from app.api import auth
from app.api.envelope import ok

session = Blueprint("session", __name__)


@session.get("/api/v1/session")
def show() -> Response:
    """Who asks, what their key allows, and until when; `endsAt` is null where no cookie is behind it."""
    who, held = auth.caller(), auth.session()
    ends_at = None if held is None else held.ends_s * 1000
    return ok({"name": who.name, "scopes": sorted(who.scopes), "endsAt": ends_at}, Cache_Control="no-store")

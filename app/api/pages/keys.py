"""/keys: which keys there are, for admins; a new one, and the end of one."""

from __future__ import annotations

from typing import Any

from flask import Response

from app.api.auth import caller
from app.api.pages.blueprint import page, pages
from app.api.system import keys as api
from app.domain.keys import Scope
from app.errors import Forbidden
from app.live import live_config


def _listed() -> list[dict[str, Any]]:
    now_ms = live_config.epoch_ms()
    return [{**each, "isOver": each["expiresAt"] is not None and each["expiresAt"] <= now_ms} for each in api.listed()]


@pages.get("/keys")
def keys() -> Response:
    """The keys."""
    if not caller().may(Scope.ADMIN):
        raise Forbidden("which keys there are is shown to keys with the scope `admin` alone", field="Authorization")
    return page("keys", "Keys", keys=_listed(), scopes=[scope.value for scope in Scope])

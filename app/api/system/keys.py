"""/api/v1/system/keys: create, list and revoke API keys; for admins only."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Blueprint, Response
from pydantic import Field

from app.access import keys as live_keys
from app.api.auth import caller
from app.api.current import gateway
from app.api.envelope import Body, body, ok
from app.api.names import Name
from app.domain.keys import Scope, Treatment
from app.errors import InvalidRequest, NotFound
from app.live import live_config
from app.store import database
from app.store import keys as store
from app.store.models import ApiKey

#: epoch ms of the year 2200: what lies behind it is a slip
LATEST_MS = 7_258_118_400_000


class KeyBody(Body):
    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))]
    segment: Name | None = None
    rate_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    #: of fields that we have no word for, where the request does not say
    parameters: Treatment | None = None
    #: epoch ms from which on the key is refused
    expires_at: Annotated[int, Field(ge=0, le=LATEST_MS)] | None = None


keys = Blueprint("keys", __name__, url_prefix="/api/v1/system/keys")


@keys.post("")
def create() -> Response:
    """Make a key; `key` is shown here and never again."""
    wanted: KeyBody = body(KeyBody)
    services = gateway().services
    if wanted.expires_at is not None and wanted.expires_at <= live_config.epoch_ms():
        raise InvalidRequest(
            f"expiresAt must be a time to come, in epoch milliseconds: got {wanted.expires_at}", field="expiresAt"
        )
    key, secret = live_keys.create(
        services.sessions,
        services.redis,
        wanted.name,
        frozenset(wanted.scopes),
        segment=wanted.segment,
        rate_per_minute=wanted.rate_per_minute,
        parameters=wanted.parameters,
        expires_at=wanted.expires_at,
        created_by=caller().name,
    )
    services.keys.refresh(services.redis)
    shown = {field: value for field, value in key.to_json().items() if field != "hash"}
    return ok({**shown, "key": secret}, 201, Cache_Control="no-store")


@keys.get("")
def every() -> Response:
    """Every stored key: what it may, who made it, whether it is revoked; never the key itself."""
    return ok({"keys": listed()})


def listed() -> list[dict[str, Any]]:
    with database.transaction(gateway().services.sessions) as session:
        used = store.last_days(session)
        return [{**_json(row), "lastRequestOn": used.get(row.name)} for row in store.every(session)]


@keys.delete("/<key_id>")
def revoke(key_id: str) -> Response:
    """Revoke a key: it is refused from then on, in every process within seconds."""
    services = gateway().services
    if "\x00" in key_id:
        raise NotFound("there is no such key", field="id")
    row = live_keys.revoke(services.sessions, services.redis, key_id)
    services.keys.refresh(services.redis)
    return ok(_json(row))


def _json(row: ApiKey) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "scopes": row.scopes,
        "segment": row.segment,
        "ratePerMinute": row.rate_per_minute,
        "parameters": row.parameters,
        "createdBy": row.created_by,
        "createdAt": live_config.to_ms(row.created_at),
        "expiresAt": None if row.expires_at is None else live_config.to_ms(row.expires_at),
        "revokedAt": None if row.revoked_at is None else live_config.to_ms(row.revoked_at),
    }

"""/api/v1/system/keys: create, list, change and revoke API keys; for admins only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

from flask import Blueprint, Response, request
from pydantic import Field

from app.access import keys as live_keys
from app.access.limits_document import LimitsDocument
from app.api.auth import caller, guard
from app.api.current import gateway
from app.api.envelope import Body, body, ok
from app.api.names import Name, OwnName
from app.domain.catalog import Provider
from app.domain.key_limits import NANOS, NO_LIMITS, KeyLimits
from app.domain.keys import Key, Scope, Treatment
from app.errors import InvalidRequest, NotFound
from app.live import live_config
from app.services import Services
from app.store import database
from app.store import keys as store
from app.store.models import ApiKey

#: epoch ms of the year 2200: what lies behind it is a slip
LATEST_MS = 7_258_118_400_000


class KeyBody(LimitsDocument):
    name: OwnName
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))]
    segment: Name | None = None
    #: of fields that we have no word for, where the request does not say
    parameters: Treatment | None = None
    #: epoch ms from which on the key is refused
    expires_at: Annotated[int, Field(ge=0, le=LATEST_MS)] | None = None


class ChangeBody(LimitsDocument):
    """What is not named stays; null ends a limit."""

    segment: Name | None = None
    parameters: Treatment | None = None
    expires_at: Annotated[int, Field(ge=0, le=LATEST_MS)] | None = None


class RevokeBody(Body):
    #: also the last key of an admin
    last: bool = False


keys = Blueprint("keys", __name__, url_prefix="/api/v1/system/keys")


@keys.post("")
def create() -> Response:
    """Make a key; `key` is shown here and never again."""
    wanted: KeyBody = body(KeyBody)
    services = gateway().services
    _check(services, wanted.expires_at, wanted.models)
    key, secret = live_keys.create(
        services.sessions,
        services.redis,
        wanted.name,
        frozenset(wanted.scopes),
        segment=wanted.segment,
        parameters=wanted.parameters,
        expires_at=wanted.expires_at,
        limits=wanted.limits(),
        created_by=caller().name,
    )
    services.keys.refresh(services.redis)
    return ok({**_shown(key), "key": secret}, 201, Cache_Control="no-store")


@keys.patch("/<key_id>")
def change(key_id: str) -> Response:
    """Change what a key may use, from now on and in every process; its secret, its name and its scopes stay."""
    wanted: ChangeBody = body(ChangeBody)
    if not (named := wanted.model_fields_set):
        raise InvalidRequest(f"nothing to change: send any of {', '.join(_fields(ChangeBody))}")
    services = gateway().services
    _check(services, wanted.expires_at, wanted.models)
    _, after = live_keys.change(
        services.sessions,
        services.redis,
        _known(key_id),
        lambda key: _changed(key, wanted, named),
        lock_out=_has_other(),
    )
    services.keys.refresh(services.redis)
    return ok({**_shown(after), "used": _used(after.id, after.limits)})


def _changed(key: Key, wanted: ChangeBody, named: set[str]) -> Key:
    asked = wanted.limits()
    limits = replace(key.limits, **{LIMITS[name]: getattr(asked, LIMITS[name]) for name in named & LIMITS.keys()})
    return replace(key, limits=limits, **{name: getattr(wanted, name) for name in named - LIMITS.keys()})


#: fields of a body → of KeyLimits
LIMITS = {
    "rate_per_minute": "requests_per_minute",
    **{name: name for name in ("tokens_per_minute", "in_flight", "budget", "models")},
}


def _check(services: Services, expires_at: int | None, models: list[str] | None) -> None:
    if expires_at is not None and expires_at <= live_config.epoch_ms():
        raise InvalidRequest(
            f"expiresAt must be a time to come, in epoch milliseconds: got {expires_at}", field="expiresAt"
        )
    known = {name for each in services.providers for name in (each.name, *_names(each))}
    for place, name in enumerate(models or ()):
        if name not in known:
            raise InvalidRequest(
                f"models.{place}: there is no {name!r} in config/providers.toml: name a provider, a model, or"
                f" PROVIDER/MODEL; providers are {', '.join(each.name for each in services.providers)}",
                field=f"models.{place}",
            )


def _names(provider: Provider) -> Iterator[str]:
    """Of its models, with and without its own."""
    embeddings = [name for pair in provider.embeddings for name in pair]
    for name in (*provider.models, *provider.completions, *embeddings):
        yield from (name, f"{provider.name}/{name}")


def _fields(kind: type[LimitsDocument]) -> list[str]:
    return [field.alias or name for name, field in kind.model_fields.items()]


@keys.get("")
def every() -> Response:
    """Every stored key: what it may, who made it, whether it is revoked; never the key itself."""
    return ok({"keys": listed()})


def listed() -> list[dict[str, Any]]:
    with database.transaction(gateway().services.sessions) as session:
        used = store.last_days(session)
        rows = store.every(session)
    return [{**_json(row), "lastRequestOn": used.get(row.name), "used": _used(row.id, _lasting(row))} for row in rows]


@keys.delete("/<key_id>")
def revoke(key_id: str) -> Response:
    """Revoke a key: it is refused from then on, in every process within seconds; the last admin's with `last`."""
    services = gateway().services
    wanted: RevokeBody = body(RevokeBody) if request.content_length else RevokeBody()
    lock_out = wanted.last or _has_other()
    row = live_keys.revoke(services.sessions, services.redis, _known(key_id), lock_out=lock_out)
    services.keys.refresh(services.redis)
    return ok(_json(row))


def _known(key_id: str) -> str:
    if "\x00" in key_id:
        raise NotFound("there is no such key", field="id")
    return key_id


def _has_other() -> bool:
    """A key of the environment opens everything, also where no stored one does any more."""
    settings = gateway().services.settings
    return bool(settings.admin_key or settings.api_key)


def _shown(key: Key) -> dict[str, Any]:
    """Without its hash; limits beside the rest, as they were sent."""
    document = key.to_json()
    limits = document.pop("limits")
    return {field: value for field, value in {**document, **limits}.items() if field != "hash"}


def _lasting(row: ApiKey) -> KeyLimits:
    """Of one that is revoked nothing is counted any more."""
    return store.limits_of(row) if row.revoked_at is None else NO_LIMITS


def _used(key_id: str, limits: KeyLimits) -> dict[str, Any] | None:
    """None: nothing of it is counted."""
    if not limits.counted:
        return None
    told, at = guard().allowances.figures(key_id, limits)
    budget = limits.budget
    shown: dict[str, Any] = {
        "requestsThisMinute": told.requests,
        "tokensThisMinute": told.tokens,
        "inFlight": told.open,
        "dayUsd": told.day_spent / NANOS,
        "monthUsd": told.month_spent / NANOS,
        "reservedUsd": told.held / NANOS,
    }
    if budget is not None:
        shown |= {
            "dayLeftUsd": _left(budget.day_usd, told.day_spent + told.held),
            "monthLeftUsd": _left(budget.month_usd, told.month_spent + told.held),
            "dayEndsAt": live_config.to_ms(at.day_ends),
            "monthEndsAt": live_config.to_ms(at.month_ends),
        }
    return shown


def _left(most_usd: float | None, nanos: int) -> float | None:
    return None if most_usd is None else max(0.0, round(most_usd - nanos / NANOS, 9))


def _json(row: ApiKey) -> dict[str, Any]:
    limits = store.limits_of(row)
    return {
        "id": row.id,
        "name": row.name,
        "scopes": row.scopes,
        "segment": row.segment,
        "ratePerMinute": limits.requests_per_minute,
        **limits.to_json(),
        "parameters": row.parameters,
        "createdBy": row.created_by,
        "createdAt": live_config.to_ms(row.created_at),
        "expiresAt": None if row.expires_at is None else live_config.to_ms(row.expires_at),
        "revokedAt": None if row.revoked_at is None else live_config.to_ms(row.revoked_at),
    }

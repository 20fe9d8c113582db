"""What became of requests: one request's route, explained, and what was used and spent per day."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, request

from app.api.current import gateway
from app.api.envelope import ok
from app.domain.routing.ending import ending, fell_over
from app.errors import InvalidRequest, NotFound
from app.live.live_config import to_ms
from app.store import database
from app.store import requests as store
from app.store.models import LoggedRequest

#: days of usage in one answer
DAYS, DAYS_LIMIT = 30, 366

#: PostgreSQL adds big integers up to a decimal
_COUNTS = frozenset({"promptTokens", "completionTokens", "cachedTokens", "requests", "failed", "unpriced"})

requests = Blueprint("requests", __name__, url_prefix="/api/v1")


@requests.get("/requests/<request_id>")
def explain(request_id: str) -> Response:
    """One request's route: candidates, the parts of their scores, why, attempts."""
    return ok(found_request(request_id))


def found_request(request_id: str) -> dict[str, Any]:
    """What the route answers; raises NotFound."""
    with database.transaction(gateway().services.sessions) as session:
        found = None if "\x00" in request_id else store.get(session, request_id)
        if found is None:
            days = gateway().services.policy.gateway.log_days
            raise NotFound(
                f"there is no request {request_id!r} in the log: it is written within two seconds, kept {days} days, "
                "and may have been left out by sampling",
                field="requestId",
            )
        return request_json(found)


@requests.get("/system/usage")
def usage() -> Response:
    """Requests, tokens and cost per day, key, segment, provider or model: `?days=30&by=day,provider`."""
    days, by = _days(), _by()
    with database.transaction(gateway().services.sessions) as session:
        today = database.now(session).date()
        since = today - timedelta(days=days - 1)
        rows = store.usage(session, since, by)
    return ok({"since": since.isoformat(), "until": today.isoformat(), "by": by, "usage": [_camel(r) for r in rows]})


def _days() -> int:
    text = request.args.get("days", str(DAYS))
    if not text.isascii() or not text.isdigit() or len(text) > 4 or not 1 <= int(text) <= DAYS_LIMIT:
        raise InvalidRequest(f"days must be a number from 1 to {DAYS_LIMIT}: got {text!r}", field="days")
    return int(text)


def _by() -> list[str]:
    wanted = [name.strip() for name in request.args.get("by", "day,provider").split(",") if name.strip()]
    for name in wanted:
        if name not in store.DIMENSIONS:
            raise InvalidRequest(f"by: there is no {name!r}; there are: {', '.join(store.DIMENSIONS)}", field="by")
    return list(dict.fromkeys(wanted))


def _camel(row: dict[str, Any]) -> dict[str, Any]:
    names = {
        "prompt_tokens": "promptTokens",
        "completion_tokens": "completionTokens",
        "cost_usd": "costUsd",
        "cached_tokens": "cachedTokens",
        "cache_saved_usd": "cacheSavedUsd",
    }
    shown = {names.get(name, name): value for name, value in row.items()}
    if "day" in shown:
        shown["day"] = shown["day"].isoformat()
    if row["unpriced"] and row["unpriced"] == row["requests"] - row["failed"]:
        shown["costUsd"] = None  # an unknown price is no 0, nor is a sum of nothing else
    return {name: int(value) if name in _COUNTS else value for name, value in shown.items()}


def request_json(found: LoggedRequest) -> dict[str, Any]:
    return {
        **head_json(found),
        "cacheSaved": found.cache_saved_usd,
        "explored": bool(found.explanation.get("explored")),
        "fellOver": fell_over(found.attempts),
        "why": ending(
            reason=found.explanation["reason"],
            order=found.explanation["order"],
            attempts=found.attempts,
            served=f"{found.provider}/{found.model}" if found.provider else None,
            status=found.status,
        ),
        "attempts": found.attempts,
        "explanation": found.explanation,
    }


def head_json(found: Any) -> dict[str, Any]:
    """What a list and a single request show alike, of a row that has these columns."""
    return {
        "requestId": found.request_id,
        "timestamp": to_ms(found.at),
        "asked": found.asked,
        "taskType": found.task_type,
        "segment": found.segment,
        "key": found.key,
        "stream": found.stream,
        "status": found.status,
        "provider": found.provider,
        "model": found.model,
        "latency": found.latency_ms,
        "cost": found.cost_usd,
        "tokens": {"prompt": found.prompt_tokens, "completion": found.completion_tokens, "cached": found.cached_tokens},
        "simulated": found.simulated,
        "configVersion": str(found.revision),
    }

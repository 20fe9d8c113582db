"""GET /api/v1/system/spend: what live traffic and rounds cost together, and what is left of today's budget."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, request
from sqlalchemy.orm import Session

from app.api.current import gateway
from app.api.envelope import ok
from app.api.queries import Query
from app.live.live_config import to_ms
from app.services import Services
from app.store import database, measured, requests, rollups

PARAMETERS = ("from", "to", "by")
DIMENSIONS = ("day", "key", "segment", "provider", "model")
SPAN = timedelta(days=30)
DAY = timedelta(hours=24)

_SUMS = (
    *("requests", "failed", "unpriced", "promptTokens", "completionTokens", "cachedTokens", "cacheSavedUsd"),
    *("liveUsd", "benchmarkUsd", "judgeUsd", "totalUsd"),
)
_Row = dict[str, Any]
#: dimension → column, as rounds have it: they have neither key nor segment
_COLUMNS = {"day": "at", "provider": "provider", "model": "model"}

spend = Blueprint("spend", __name__, url_prefix="/api/v1/system")


@spend.get("/spend")
def spent() -> Response:
    """USD of live traffic, rounds and their judge in one sum, by day, key, segment, provider or model.

    Days are those of UTC. Rounds have neither key nor segment: there ''. `failures` names the targets that failed.
    """
    return ok(spend_json(gateway().services, request.args))


def spend_json(services: Services, given: Mapping[str, str]) -> dict[str, Any]:
    """What the route answers; raises InvalidRequest that names a parameter."""
    query = Query(given, PARAMETERS)
    by = query.names("by", "day,provider", DIMENSIONS)
    with database.transaction(services.sessions) as session:
        since, until = query.span(database.now(session), SPAN)
        since = since.replace(hour=0, minute=0, second=0, microsecond=0)
        live = requests.usage(session, since.date(), by, until=_last_day(until))
        rounds = rollups.of_rounds(session, since, until, [_COLUMNS[name] for name in by if name in _COLUMNS])
        failed = rollups.live_errors(session, since, until)
        spent_usd = _spent_today(services, session)
    rows = [*map(_of_usage, live), *map(_of_round, rounds)]
    return {
        "from": to_ms(since),
        "to": to_ms(until),
        "by": by,
        "spend": _added(rows, by),
        "totals": _added(rows, ()),
        "budget": _budget_json(services, spent_usd),
        "failures": _failures(failed),
    }


def _last_day(until: datetime) -> date:
    return (until - timedelta(microseconds=1)).date()


def _spent_today(services: Services, session: Session) -> float:
    """As the budget of rounds counts it: the last 24 hours, with what running rounds are expected to cost."""
    names = [provider.name for provider in services.providers]
    return measured.spent_usd(session, names, DAY, simulated=services.simulated)


def _budget_json(services: Services, spent_usd: float) -> _Row:
    limit = services.policy.budget.day_usd
    left = round(max(0.0, limit - spent_usd), 6)
    return {
        "of": "rounds",
        "hours": 24,
        "dayUsd": limit,
        "spentUsd": round(spent_usd, 6),
        "leftUsd": left,
        "roundUsd": services.policy.budget.round_usd,
        "simulated": services.simulated,
    }


def _of_usage(row: Mapping[str, Any]) -> _Row:
    return {
        **{name: row[name] for name in (*DIMENSIONS, "simulated") if name in row},
        **{name: int(row[name]) for name in ("requests", "failed", "unpriced")},
        "promptTokens": int(row["prompt_tokens"]),
        "completionTokens": int(row["completion_tokens"]),
        "cachedTokens": int(row["cached_tokens"]),
        "cacheSavedUsd": row["cache_saved_usd"],
        "liveUsd": row["cost_usd"],
        "totalUsd": row["cost_usd"],
    }


def _of_round(row: Mapping[str, Any]) -> _Row:
    """Rounds are no requests: they add to the money and the tokens alone."""
    return {
        **{name: row[column] for name, column in _COLUMNS.items() if column in row and name != "day"},
        **({"day": row["at"].date()} if "at" in row else {}),
        "key": "",
        "segment": "",
        "simulated": row["simulated"],
        "promptTokens": int(row["prompt_tokens"]),
        "completionTokens": int(row["completion_tokens"]),
        f"{row['source']}Usd": row["cost_usd"],
        "totalUsd": row["cost_usd"],
    }


def _added(rows: Iterable[_Row], by: Sequence[str]) -> list[_Row]:
    """Sums by these dimensions; simulated and real never in one row."""
    kept = (*by, "simulated")
    totals: dict[tuple[Any, ...], _Row] = defaultdict(lambda: dict.fromkeys(_SUMS, 0))
    for row in rows:
        mine = totals[tuple(row[name] for name in kept)]
        for name in _SUMS:
            mine[name] += row.get(name, 0)
    return [_shown(dict(zip(kept, of, strict=True)), sums) for of, sums in sorted(totals.items())]


def _shown(of: _Row, sums: _Row) -> _Row:
    day = {"day": of["day"].isoformat()} if "day" in of else {}
    money = {name: round(value, 9) if name.endswith("Usd") else value for name, value in sums.items()}
    return {**of, **day, **money}


def _failures(rows: Sequence[Any]) -> list[_Row]:
    """Targets with failed calls, the worst first; of each the commonest error first."""
    calls: Counter[tuple[str, str]] = Counter()
    errors: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for provider, model, error, count in rows:
        calls[provider, model] += int(count)
        if error:
            errors[provider, model][error] += int(count)
    found = [
        {
            "provider": provider,
            "model": model,
            "calls": calls[provider, model],
            "failed": of.total(),
            "errors": dict(of.most_common()),
        }
        for (provider, model), of in errors.items()
    ]
    return sorted(found, key=lambda each: (-each["failed"], each["provider"], each["model"]))

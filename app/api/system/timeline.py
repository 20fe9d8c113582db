"""GET /api/v1/system/timeline: what every target got and gave by hour, day or week, and what happened when."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, request
from sqlalchemy.orm import Session

from app.api.current import gateway
from app.api.envelope import ok
from app.api.queries import Query
from app.domain import shown as figures_shown
from app.domain.catalog import TaskType
from app.domain.evidence.figures import Figures, figures, interval
from app.domain.evidence.histogram import ERROR
from app.errors import InvalidRequest
from app.live.live_config import to_ms
from app.services import Services
from app.store import breaker_turns, database, grains, markers, rollups
from app.store.models import BreakerTurn

PARAMETERS = ("from", "to", "step", "segment", "taskType", "provider", "model")
SPAN = timedelta(hours=24)
#: up to which steps are hours, and days, where nobody says: so many rows a page reads in a moment
HOURS, DAYS = timedelta(days=8), timedelta(days=120)
#: … and at most
MOST = {grains.HOUR: timedelta(days=62), grains.DAY: timedelta(days=3700), grains.WEEK: timedelta(days=3700)}
#: markers of one kind in one answer: the newest
MARKERS = 300
#: insights that say that something happened; the others explain or say that nothing did
_FINDINGS = ("latency", "reliability", "rollback", "degraded", "needs_person", "proposal", "failed", "budget")
#: classes of errors that only a person can mend
REFUSED = ("bad_key", "out_of_credit", "account_problem", "model_unknown")

timeline = Blueprint("timeline", __name__, url_prefix="/api/v1/system")

#: source, provider, model, simulated
_Of = tuple[str, str, str, bool]


@timeline.get("/timeline")
def course() -> Response:
    """Calls, share, latency, success, quality and cost of every target over time, with markers of what happened."""
    return ok(timeline_json(gateway().services, request.args))


def timeline_json(services: Services, given: Mapping[str, str]) -> dict[str, Any]:
    """What the route answers; raises InvalidRequest that names a parameter."""
    query = Query(given, PARAMETERS)
    task = query.one_of("taskType", tuple(TaskType))
    with database.transaction(services.sessions) as session:
        since, until = query.span(database.now(session), SPAN)
        grain = _grain(query.one_of("step", tuple(MOST)), until - since)
        since = _aligned(since, grain)
        rows = rollups.rows(session, since, until, grain=grain, segment=query.text("segment"), task_type=task)
        provider, model = query.text("provider"), query.text("model")
        rows = _only(rows, provider=provider, model=model)
        turns = breaker_turns.between(session, since, until, MARKERS, provider=provider, model=model)
        happened = [*_happened(session, since, until), *_refusals(rows), *map(_turn_json, turns)]
    return {
        "from": to_ms(since),
        "to": to_ms(until),
        "step": grain,
        "latencyError": round(ERROR, 3),
        "rows": list(_rows_json(rows)),
        "totals": [{**_of_json(of), **figures_json(figures(mine))} for of, mine in _by_target(rows).items()],
        "markers": sorted(happened, key=lambda marker: marker["at"]),
    }


def _grain(asked: str | None, span: timedelta) -> str:
    grain = asked or (grains.HOUR if span <= HOURS else grains.DAY if span <= DAYS else grains.WEEK)
    if span > MOST[grain]:
        raise InvalidRequest(f"from must lie within {MOST[grain].days} days before to with step {grain}", field="from")
    return grain


def _aligned(moment: datetime, grain: str) -> datetime:
    """Down to a whole step: the first row is as complete as the others."""
    hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    return {grains.HOUR: hour, grains.DAY: day, grains.WEEK: day - timedelta(days=day.weekday())}[grain]


def _only(rows: Sequence[dict[str, Any]], **wanted: str | None) -> list[dict[str, Any]]:
    asked = {name: value for name, value in wanted.items() if value is not None}
    return [row for row in rows if all(row[name] == value for name, value in asked.items())]


def _by_target(rows: Sequence[dict[str, Any]]) -> dict[_Of, list[dict[str, Any]]]:
    found: dict[_Of, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["source"], row["provider"], row["model"], row["simulated"]].append(row)
    return dict(sorted(found.items()))


def _rows_json(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A row per step and target; the share is of the step's live calls."""
    steps: dict[datetime, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        steps[row["at"]].append(row)
    for at, of_step in steps.items():
        live = sum(row["calls"] for row in of_step if row["source"] == rollups.LIVE)
        for of, mine in _by_target(of_step).items():
            shown = figures_json(figures(mine))
            share = round(shown["calls"] / live, 4) if of[0] == rollups.LIVE and live else None
            yield {"at": to_ms(at), **_of_json(of), "share": share, **shown}


def _of_json(of: _Of) -> dict[str, Any]:
    source, provider, model, simulated = of
    return {"source": source, "provider": provider, "model": model, "simulated": simulated}


def figures_json(each: Figures) -> dict[str, Any]:
    """Latencies in ms, costs in USD; null where there is nothing to say it from."""
    ends = interval(each.ok, each.counted)
    return {
        "calls": each.calls,
        "ok": each.ok,
        "uncounted": each.uncounted,
        "explored": each.explored,
        "success": None if each.success is None else round(each.success, 4),
        "successInterval": None if ends is None else [round(end, 4) for end in ends],
        "latencyP50": None if each.p50_ms is None else round(each.p50_ms, 1),
        "latencyP95": None if each.p95_ms is None else round(each.p95_ms, 1),
        "quality": None if each.quality is None else round(each.quality, 4),
        "graded": each.graded,
        "cost": round(each.cost_usd, 9),
        "unpriced": each.unpriced,
        "tokens": {"prompt": each.prompt_tokens, "completion": each.completion_tokens},
        "errors": dict(each.errors),
    }


def _happened(session: Session, since: datetime, until: datetime) -> Iterator[dict[str, Any]]:
    for each in markers.revisions(session, since, until, MARKERS):
        who = {"version": str(each.version), "author": each.author, "roundId": each.round_id}
        yield {"at": to_ms(each.created_at), "kind": "revision", "text": each.reason, **who}
    for each in markers.rounds(session, since, until, MARKERS):
        what = {"roundId": each.id, "trigger": each.trigger, "status": each.status, "degraded": each.degraded}
        yield {"at": to_ms(each.planned_at), "kind": "round", "text": f"{each.trigger}: {each.status}", **what}
    for each in markers.findings(session, since, until, _FINDINGS, MARKERS):
        yield {"at": to_ms(each.at), "kind": each.kind, "text": each.text, "roundId": each.round_id}


def _turn_json(turn: BreakerTurn) -> dict[str, Any]:
    """A breaker that opened or closed; `lasted`: ms that it was out."""
    target = f"{turn.provider}/{turn.model}"
    marker = {"at": to_ms(turn.at), "provider": turn.provider, "model": turn.model, "code": turn.reason}
    if turn.state == "open":
        times = f"{turn.failures} failures in a row" if turn.failures > 1 else "at its first failure"
        return {**marker, "kind": "breaker_open", "text": f"{target} is left alone: {turn.reason}, {times}"}
    out = "" if turn.lasted_s is None else f" after {figures_shown.age(turn.lasted_s)}"
    lasted = None if turn.lasted_s is None else round(turn.lasted_s * 1000)
    return {**marker, "kind": "breaker_closed", "text": f"{target} serves again{out} ({turn.reason})", "lasted": lasted}


def _refusals(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The first step of every time in which a target refused our key or account."""
    steps = sorted({row["at"] for row in rows})
    place = {at: number for number, at in enumerate(steps)}
    calls: Counter[tuple[str, str, str, datetime]] = Counter()
    for row in rows:
        if row["error_class"] in REFUSED:
            calls[row["provider"], row["model"], row["error_class"], row["at"]] += row["calls"]
    for (provider, model, code, at), count in sorted(calls.items()):
        earlier = steps[place[at] - 1] if place[at] else None
        if earlier is None or (provider, model, code, earlier) not in calls:
            text = f"{provider}/{model} refuses: {code} ({count} calls)"
            yield {"at": to_ms(at), "kind": "refused", "text": text, "provider": provider, "model": model, "code": code}

"""What routing gave beside other ways to choose, of a time that was recorded here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.domain import shown
from app.domain.config.runtime_config import RuntimeConfig
from app.domain.policy import Objective
from app.domain.replay import baselines
from app.domain.replay.baseline_json import baseline_json
from app.domain.replay.baseline_types import Baseline, Comparison, digits
from app.evidence.compared_time import Cells, recorded
from app.live.live_config import to_ms
from app.services import Services
from app.store import database

#: how people call them
WORDS = {"cheapest": "always the cheapest", "best": "the best one target in hindsight", "random": "one at random"}


def compared(services: Services, start: datetime, end: datetime, by: str | None = None) -> dict[str, Any]:
    """`readShare`: of the outcomes; sums and counts are reckoned up to all of them. `by`: day, week or month."""
    objective, simulated = services.objective, services.simulated
    with database.transaction(services.sessions) as session:
        read = recorded(session, start, end, by, objective, simulated=simulated)
    first = _first(services, services.config.value)
    found = _found(read.whole, first, objective)
    requests = found.calls / read.whole.share
    return {
        "from": to_ms(read.whole.start),
        "to": to_ms(read.whole.end),
        "simulated": simulated,
        "summed": read.summed,
        "hoursWaiting": read.waiting,
        "requests": round(requests),
        "readShare": round(read.whole.share, 4),
        "blocks": found.blocks,
        "routing": _values(found),
        "baselines": [{**baseline_json(each, requests), "text": sentence(each, requests)} for each in found.baselines],
        "text": _whole(found, requests),
        "series": [_period_json(period, _found(period, first, objective)) for period in read.periods],
    }


def _found(cells: Cells, first: str | None, objective: Objective) -> Comparison:
    return baselines.compare(cells.live, cells.rounds, first, objective)


def _values(found: Comparison) -> dict[str, float | None]:
    return {name: digits(value) for name, value in found.values.items()}


def _period_json(period: Cells, found: Comparison) -> dict[str, Any]:
    return {
        "from": to_ms(period.start),
        "to": to_ms(period.end),
        "requests": found.calls,
        "routing": _values(found),
        "baselines": [baseline_json(each, found.calls) for each in found.baselines],
    }


def _first(services: Services, config: RuntimeConfig) -> str | None:
    """By the order of the configuration."""
    enabled = [p for p in services.providers if p.name not in services.left_out(config) and p.targets]
    enabled.sort(key=lambda p: config.providers[p.name].priority if p.name in config.providers else 10_000)
    return str(enabled[0].targets[0]) if enabled else None


def sentence(each: Baseline, requests: float) -> str:
    """What routing was beside it, in latency, cost and utility; or that nobody can tell."""
    name = f"always {each.target}" if each.name == "first" else WORDS[each.name]
    name += f" ({each.target})" if each.target is not None and each.name != "first" else ""
    told = [said for said in (_latency(each), _cost(each, requests), _utility(each)) if said]
    return f"beside {name}: {', '.join(told) or 'cannot tell'}"


def _latency(each: Baseline) -> str:
    if each.verdict("latencyMs") == "cannot tell":
        return ""
    low, value, high = _ends(each, "latencyMs")
    word = "faster" if value < 0 else "slower"
    return f"{shown.ms(abs(value))} {word} per call (±{shown.ms((high - low) / 2)})"


def _cost(each: Baseline, requests: float) -> str:
    if each.verdict("costUsd") == "cannot tell":
        return ""
    low, value, high = (part * requests for part in _ends(each, "costUsd"))
    word = "saved" if value < 0 else "more spent"
    return f"{shown.usd(abs(value))} {word} (±{shown.usd((high - low) / 2)})"


def _utility(each: Baseline) -> str:
    if each.verdict("utility") == "cannot tell":
        return ""
    low, value, high = _ends(each, "utility")
    return f"utility {shown.signed(value)} per call (±{shown.points((high - low) / 2)})"


def _ends(each: Baseline, measure: str) -> tuple[float, float, float]:
    found = each.differences[measure]
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    return found.low, found.value, found.high


def _whole(found: Comparison, requests: float) -> str:
    if not found.baselines:
        return "cannot tell: no request whose target was drawn, or no round, is recorded in this time"
    return f"Of {requests:,.0f} requests, {sentence(found.baselines[0], requests)}."

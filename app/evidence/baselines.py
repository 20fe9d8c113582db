"""What routing gave beside other ways to choose, of a time that was recorded here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.domain import shown
from app.domain.config.runtime_config import RuntimeConfig
from app.domain.replay import baselines
from app.domain.replay.baseline_json import baseline_json
from app.domain.replay.baseline_types import Baseline, Comparison, digits
from app.live.live_config import to_ms
from app.services import Services
from app.store import baselines as store
from app.store import database

#: how people call them
WORDS = {"cheapest": "always the cheapest", "best": "the best one target in hindsight", "random": "one at random"}


def compared(services: Services, start: datetime, end: datetime) -> dict[str, Any]:
    """`share`: of the outcomes that was read; sums and counts are reckoned up to all of them."""
    objective, simulated = services.objective, services.simulated
    with database.transaction(services.sessions) as session:
        share = store.share_read(session, start, end)
        live = store.live_cells(session, start, end, share, objective, simulated=simulated)
        rounds = store.round_cells(session, start, end, objective, simulated=simulated)
    found = baselines.compare(live, rounds, _first(services, services.config.value), objective)
    requests = found.calls / share
    return {
        "from": to_ms(start),
        "to": to_ms(end),
        "simulated": simulated,
        "requests": round(requests),
        "readShare": round(share, 4),
        "blocks": found.blocks,
        "routing": {name: digits(value) for name, value in found.values.items()},
        "baselines": [{**baseline_json(each, requests), "text": sentence(each, requests)} for each in found.baselines],
        "text": _whole(found, requests),
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

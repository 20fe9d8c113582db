"""What other weights or another objective would have done with what was recorded here. It changes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from app.domain.config.runtime_config import Weights
from app.domain.policy import Objective
from app.domain.replay import what_if
from app.domain.replay.recorded import FinishedRound, trace_lines
from app.domain.replay.what_if import Setting
from app.live.live_config import to_ms
from app.services import Services
from app.store import database, history

#: the latest of them, so that an answer takes a second or two
MOST_CALLS, MOST_ROUNDS = 2000, 48


def compared(
    services: Services, start: datetime, end: datetime, weights: Weights | None, objective: Objective
) -> dict[str, Any]:
    """Raises ValueError where no round is recorded in that time."""
    config, policy = services.config.value, services.scorecard.value.in_force(services.policy)
    now = Setting(config.global_.provider_weights, policy.objective, config.effective_exploration_rate)
    then = replace(now, weights=weights or now.weights, objective=objective)
    with database.transaction(services.sessions) as session:
        recent = [at for at in history.recent_rounds(session, MOST_ROUNDS) if at >= start]
        since = min(recent, default=start)
        live_since = history.latest_calls_since(session, since, MOST_CALLS)
        events = [event for event in history.events(session, since, live_since) if event.at < end]
        simulated = history.is_simulated(session, since)
    lines = list(trace_lines(events, policy, simulated=simulated))
    return {
        "from": to_ms(since),
        "liveFrom": to_ms(live_since),
        "to": to_ms(end),
        "simulated": simulated,
        "rounds": sum(isinstance(event, FinishedRound) for event in events),
        **what_if.compared(lines, now, then, policy),
    }

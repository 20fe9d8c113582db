"""What is written down of one request: its outcomes, its entry in the request log, and why it went where it went."""

from __future__ import annotations

import time
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from app.domain.catalog import Target
from app.domain.config.runtime_config import RuntimeConfig
from app.domain.routing import router
from app.domain.routing.ranking import Plan
from app.domain.routing.router import Route
from app.gateway.calls import Attempt, Call, attempt_json
from app.gateway.metrics import OK
from app.live import live_config
from app.providers.base import Timing, Usage
from app.services import Services

#: of the outcomes table, or of the request log
Row = dict[str, Any]


@dataclass(slots=True)
class Facts:
    """What is known of a request on its way; app.gateway.request adds to it until its end."""

    services: Services
    call: Call
    config: RuntimeConfig
    plan: Plan
    route: Route
    stream: bool
    _: KW_ONLY
    started_s: float = field(default_factory=time.perf_counter)
    #: in the order in which they were called; the last, or the last two, may not have ended
    called: list[Target] = field(default_factory=list)
    #: those that have ended, in the order of `called`
    attempts: list[Attempt] = field(default_factory=list)
    #: those that have no way to do what is asked: no call was made
    passed_over: list[Attempt] = field(default_factory=list)
    #: spent beside the answer, on calls that a hedge made needless
    hedged_usd: float = 0.0
    #: of the prompts, and of what came back
    hedged_tokens: tuple[int, int] = (0, 0)

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started_s) * 1000

    def place(self, attempt: Attempt) -> int:
        return self.called.index(attempt.target)

    def with_hedged(self, cost: float | None) -> float | None:
        return self.hedged_usd + (cost or 0.0) if self.hedged_usd else cost


def outcome(
    facts: Facts,
    attempt: Attempt,
    timing: Timing | None,
    usage: Usage | None,
    cost: float | None,
    *,
    error_class: str | None = None,
    counts: bool = True,
) -> Row | None:
    """An attempt as evidence; None where the config says that none is collected."""
    call, route = facts.call, facts.route
    if not (facts.config.global_.enabled and facts.config.features.metrics_collection):
        return None
    number = facts.place(attempt) + 1
    first = number == 1 and not facts.passed_over
    return {
        "request_id": call.request_id,
        "attempt": number,
        "at": live_config.utc_now().isoformat(),
        "provider": attempt.target.provider,
        "model": attempt.target.model,
        "task_type": call.task_type.value,
        "segment": call.segment,
        "success": attempt.success,
        "latency_ms": attempt.latency_ms,
        "ttft_ms": timing.first_token_ms if timing else None,
        "connect_ms": timing.connect_ms if timing else None,
        **_tokens(usage),
        "reasoning_tokens": usage.reasoning if usage else None,
        "cached_tokens": usage.cached if usage else None,
        "tokens_estimated": bool(usage and usage.estimated),
        "cost_usd": cost,
        "error_class": error_class,
        "counts": counts,
        "simulated": facts.services.simulated,
        "explored": route.explored and first,
        "propensity": route.propensity if first else None,
        "revision": facts.config.revision,
    }


def log_entry(facts: Facts, status: str, served: Target | None, usage: Usage | None, cost: float | None) -> Row:
    """The request with all it cost, by who served it; complete where `explained` follows."""
    return {
        "request_id": facts.call.request_id,
        "at": live_config.utc_now().isoformat(),
        "key": facts.call.key,
        "segment": facts.call.segment,
        "task_type": facts.call.task_type.value,
        "asked": facts.call.asked,
        "stream": facts.stream,
        "status": status,
        "provider": served.provider if served else None,
        "model": served.model if served else None,
        "latency_ms": round(facts.elapsed_ms(), 1),
        **_tokens(usage, facts.hedged_tokens),
        "cost_usd": facts.with_hedged(cost),
        "simulated": facts.services.simulated,
        "revision": facts.config.revision,
    }


def explained(facts: Facts) -> Row:
    """Attempts and explanation: the costlier part of a log entry."""
    return {
        "attempts": [attempt_json(attempt) for attempt in (*facts.passed_over, *facts.attempts)],
        "explanation": router.explanation_json(facts.plan, facts.route),
    }


def went_straight(facts: Facts, status: str) -> bool:
    return status == OK and len(facts.attempts) == 1 and not facts.passed_over


def _tokens(usage: Usage | None, hedged: tuple[int, int] = (0, 0)) -> dict[str, int | None]:
    return {
        "prompt_tokens": usage.prompt + hedged[0] if usage else None,
        "completion_tokens": usage.completion + hedged[1] if usage else None,
    }

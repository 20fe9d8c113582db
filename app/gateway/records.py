"""What is written down of one request: its outcomes, its entry in the request log, and why it went where it went."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from app.domain.config.runtime_config import RuntimeConfig
from app.domain.routing import router
from app.domain.routing.plan import Plan
from app.domain.routing.router import Route
from app.evidence.request_log import Limit, sampled
from app.gateway.attempt import Attempt
from app.gateway.calls import AttemptResult, Call, attempt_json
from app.gateway.metrics import OK
from app.live import live_config
from app.providers.base import Usage
from app.services import Services

#: of the outcomes table, or of the request log
Row = dict[str, Any]


class Request(Protocol):
    """What is read of app.gateway.request.Request, which hands itself over."""

    services: Services
    call: Call
    config: RuntimeConfig
    plan: Plan
    route: Route
    stream: bool
    log_limit: Limit
    attempts: list[Attempt[Any]]
    passed_over: tuple[AttemptResult, ...]
    beside: tuple[Attempt[Any], ...]
    started_s: float

    def elapsed_ms(self) -> float: ...


def outcome(request: Request, attempt: Attempt[Any]) -> Row | None:
    """An attempt that has ended as evidence; None where the config says that none is collected, and of a model that is
    no target of chat."""
    call, route, summary = request.call, request.route, attempt.summary
    if attempt.target.model not in attempt.provider.models:
        return None
    if summary is None or not (request.config.global_.enabled and request.config.features.metrics_collection):
        return None
    number = request.attempts.index(attempt) + 1
    first = number == 1 and not request.passed_over
    timing, usage = attempt.timing, attempt.usage
    return {
        "request_id": call.request_id,
        "attempt": number,
        "at": live_config.utc_now().isoformat(),
        "provider": attempt.target.provider,
        "model": attempt.target.model,
        "task_type": call.task_type.value,
        "segment": call.segment,
        "success": summary.success,
        "latency_ms": summary.latency_ms,
        "ttft_ms": timing.first_token_ms if timing else None,
        "connect_ms": timing.connect_ms if timing else None,
        **_tokens(usage),
        "reasoning_tokens": usage.reasoning if usage else None,
        "cached_tokens": usage.cached if usage else None,
        "tokens_estimated": bool(usage and usage.estimated),
        "cost_usd": attempt.cost_usd,
        "error_class": None if summary.success else attempt.status,
        "counts": summary.success if summary.error is None else summary.error.counts,
        "simulated": request.services.is_simulated(attempt.target.provider),
        "explored": route.explored and first,
        "propensity": _propensity(call, route) if first else None,
        "revision": request.config.revision,
    }


def _propensity(call: Call, route: Route) -> float | None:
    """None where nothing was drawn (the request, or its conversation, named the target), or not among all targets."""
    return None if route.is_settled or call.model is not None else route.propensity


def log_entry(
    request: Request, status: str, served: Attempt[Any] | None, results: tuple[AttemptResult, ...]
) -> Callable[[], Row]:
    """What gives the request's entry in the log. It may wait long for Redis: it holds no question and no answer."""
    straight = status == OK and len(results) == 1 and not request.passed_over
    share = request.services.policy.gateway.log_share
    entry = _usage_entry(request, status, served)
    return partial(
        _explained,
        entry,
        [(each, _began_ms(request, each)) for each in request.passed_over + results],
        request.plan,
        request.route,
        straight,
        share,
        request.log_limit,
    )


def _began_ms(request: Request, result: AttemptResult) -> float | None:
    """Since the request began; None: it was not called."""
    began = [each.started_s for each in request.attempts if each.summary is result]
    return round(max(0.0, began[0] - request.started_s) * 1000, 1) if began else None


def _usage_entry(request: Request, status: str, served: Attempt[Any] | None) -> Row:
    """The request with all it cost, by who served it; else by who failed last."""
    failed = request.attempts[-1].target if served is None and request.attempts else None
    return {
        "request_id": request.call.request_id,
        "at": live_config.utc_now().isoformat(),
        "key": request.call.key,
        "segment": request.call.segment,
        "task_type": request.call.task_type.value,
        "asked": request.call.asked,
        "stream": request.stream,
        "status": status,
        "provider": served.target.provider if served else None,
        "model": served.target.model if served else None,
        "failed_provider": failed.provider if failed else None,
        "failed_model": failed.model if failed else None,
        "latency_ms": round(request.elapsed_ms(), 1),
        **_tokens(served.usage if served else None, _beside(request, served)),
        "cost_usd": cost_usd(request, served),
        "cached_tokens": served.usage.cached if served and served.usage else None,
        "cache_saved_usd": served.saved_usd if served else None,
        "simulated": request.services.is_simulated(
            (served.target if served else failed or request.route.order[0]).provider
        ),
        "revision": request.config.revision,
    }


def cost_usd(request: Request, served: Attempt[Any] | None) -> float | None:
    """Of the attempt that served the request, and of those paid for beside it, as far as is known."""
    cost = None if served is None else served.cost_usd
    beside = sum([each.cost_usd or 0.0 for each in _beside(request, served)]) if request.beside else 0.0
    return beside + (cost or 0.0) if beside else cost


def tokens(request: Request, served: Attempt[Any] | None) -> int:
    """Of prompt and answer, as far as is known, of the same attempts."""
    used = (served, *_beside(request, served))
    return sum(
        each.usage.prompt + each.usage.completion for each in used if each is not None and each.usage is not None
    )


def _beside(request: Request, served: Attempt[Any] | None) -> tuple[Attempt[Any], ...]:
    return tuple([each for each in request.beside if each is not served]) if request.beside else ()


def _explained(
    entry: Row,
    results: Sequence[tuple[AttemptResult, float | None]],
    plan: Plan,
    route: Route,
    straight: bool,
    share: float,
    limit: Limit,
) -> Row:
    """With attempts and explanation, the costlier part, worked out by the recorder's thread.

    Without where the policy does not keep the request: then it counts in the usage, and that is all. Those that did
    not go straight through are not sampled, and have room of their own: it is they that people ask about.
    """
    if straight and not sampled(entry["request_id"], share):
        return entry
    if not limit.takes(time.monotonic(), urgent=not straight):
        return entry
    explanation = router.explanation_json(plan, route)
    return {**entry, "attempts": [_attempt_json(*each) for each in results], "explanation": explanation}


def _attempt_json(result: AttemptResult, began_ms: float | None) -> dict[str, Any]:
    """`start`: ms after the request's."""
    return attempt_json(result, kept=True) | ({} if began_ms is None else {"start": began_ms})


def _tokens(usage: Usage | None, beside: tuple[Attempt[Any], ...] = ()) -> dict[str, int | None]:
    if usage is None:
        return {"prompt_tokens": None, "completion_tokens": None}
    prompt, completion = usage.prompt, usage.completion
    for each in beside:
        if each.usage is not None:
            prompt, completion = prompt + each.usage.prompt, completion + each.usage.completion
    return {"prompt_tokens": prompt, "completion_tokens": completion}

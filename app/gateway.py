"""MAIN PATH 2: route → call → fall over → record. A request waits for providers only, never for Postgres or Redis."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from app import live_config
from app.breakers import Breakers
from app.domain import router
from app.domain.catalog import Provider, Target, TaskType
from app.domain.ranking import Plan
from app.domain.router import Route
from app.domain.runtime_config import RuntimeConfig
from app.errors import AllAttemptsFailed, InvalidRequest, NoTarget, ProviderError, Timeout
from app.evidence import Recorder
from app.providers.base import Answer, ChatRequest, Message
from app.providers.prices import answer_cost
from app.services import Services

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Call:
    """A chat request as the gateway takes it."""

    messages: tuple[Message, ...]
    task_type: TaskType = TaskType.DEFAULT
    segment: str | None = None
    #: only this provider; None: the best one
    provider: str | None = None
    #: model parameters of the request, over all configured ones; fields of ChatRequest
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call on a route."""

    target: Target
    success: bool
    latency_ms: float
    error: ProviderError | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a chat request gave; `attempts` ends with the one that answered."""

    request_id: str
    answer: Answer
    target: Target
    task_type: TaskType
    explored: bool
    attempts: tuple[Attempt, ...]
    #: whole request, all attempts
    latency_ms: float
    cost_usd: float | None
    simulated: bool


class Gateway:
    """The gateway of one process: services, and the two things that live as long as it does."""

    def __init__(self, services: Services, recorder: Recorder, breakers: Breakers, rng: random.Random) -> None:
        self.services = services
        self.recorder = recorder
        self.breakers = breakers
        self._rng = rng
        self._plans: tuple[object, dict[tuple[str | None, TaskType], Plan]] = (None, {})

    def plan(self, segment: str | None, now: datetime, task: TaskType = TaskType.DEFAULT) -> Plan:
        """The ranking of all targets; computed anew when config, evidence or breakers changed, else once a second."""
        services = self.services
        stamp = (services.config.version, services.scorecard.version, self.breakers.generation, int(now.timestamp()))
        held, plans = self._plans
        if held != stamp:
            plans = {}
            self._plans = (stamp, plans)
        if (segment, task) not in plans:
            plans[segment, task] = router.plan(
                services.config.value,
                services.targets,
                services.scorecard.value,
                self.breakers.value,
                services.policy,
                now,
                segment,
                task,
            )
        return plans[segment, task]

    def chat(self, call: Call) -> Reply:
        """Answer a request from the best target that can.

        Raises NoTarget, InvalidRequest, the provider's own error where another target would fare no better, and
        AllAttemptsFailed (whose message says why, target by target) else.
        """
        started = time.perf_counter()
        config = self.services.config.value
        route = self._route(call, config)
        request_id = f"req-{uuid.uuid4().hex}"
        attempts: list[Attempt] = []
        for target in route.order[: self.services.policy.gateway.max_attempts]:
            timeout_ms = self._time_left_ms(started, config, target)
            if timeout_ms <= 0:
                break
            outcome = self._attempt(call, config, target, timeout_ms)
            attempt = Attempt(target, isinstance(outcome, Answer), *_measured(outcome))
            attempts.append(attempt)
            cost = answer_cost(self._provider(target), outcome, _now()) if isinstance(outcome, Answer) else None
            self._record(request_id, call, config, route, attempts, outcome, cost)
            if isinstance(outcome, Answer):
                return Reply(
                    request_id=request_id,
                    answer=outcome,
                    target=target,
                    task_type=call.task_type,
                    explored=route.explored,
                    attempts=tuple(attempts),
                    latency_ms=(time.perf_counter() - started) * 1000,
                    cost_usd=cost,
                    simulated=self.services.simulated,
                )
            if not outcome.elsewhere:
                raise outcome
        raise _all_failed(attempts)

    def _route(self, call: Call, config: RuntimeConfig) -> Route:
        now = _now()
        plan = self.plan(call.segment, now, call.task_type)
        if call.provider is None:
            route = router.route(plan, self._rng, now)
        else:
            route = self._pinned(call.provider, plan, config)
        if not route.order:
            reasons = "; ".join(f"{name}: {why}" for name, why in self.services.left_out(config).items())
            raise NoTarget(f"no provider can answer ({reasons})")
        return route

    def _pinned(self, provider: str, plan: Plan, config: RuntimeConfig) -> Route:
        if provider not in {p.name for p in self.services.providers}:
            known = ", ".join(p.name for p in self.services.providers)
            raise InvalidRequest(f"unknown provider {provider!r}; known are: {known}", field="provider")
        why = self.services.left_out(config).get(provider)
        if why is not None:
            raise InvalidRequest(f"{provider} cannot be called: {why}", field="provider")
        order = tuple(c.target for c in plan.candidates if c.target.provider == provider)
        return Route(order=order, explored=False, propensity=1.0, reason="the request names the provider")

    def _time_left_ms(self, started: float, config: RuntimeConfig, target: Target) -> int:
        left = self.services.policy.gateway.deadline_ms - (time.perf_counter() - started) * 1000
        mine = config.providers.get(target.provider)
        return int(min(left, self._provider(target).timeout_ms if mine is None else mine.timeout))

    def _provider(self, target: Target) -> Provider:
        return self.services.endpoints[target.provider].provider

    def _attempt(self, call: Call, config: RuntimeConfig, target: Target, timeout_ms: int) -> Answer | ProviderError:
        parameters = {**config.model_parameters(call.task_type, target.provider), **call.parameters}
        request = ChatRequest(messages=call.messages, **parameters)
        error: ProviderError | None = None
        try:
            return self.services.client.complete(
                self.services.endpoints[target.provider], target.model, request, timeout_ms=timeout_ms
            )
        except ProviderError as failure:
            error = failure
            return failure
        finally:
            self.breakers.observe(target, error, _now())

    def _record(
        self,
        request_id: str,
        call: Call,
        config: RuntimeConfig,
        route: Route,
        attempts: Sequence[Attempt],
        outcome: Answer | ProviderError,
        cost_usd: float | None,
    ) -> None:
        if not (config.global_.enabled and config.features.metrics_collection):
            return
        attempt = attempts[-1]
        first = len(attempts) == 1
        usage = outcome.usage if isinstance(outcome, Answer) else None
        timing = outcome.timing
        self.recorder.add(
            {
                "request_id": request_id,
                "attempt": len(attempts),
                "at": _now().isoformat(),
                "provider": attempt.target.provider,
                "model": attempt.target.model,
                "task_type": call.task_type.value,
                "segment": call.segment,
                "success": attempt.success,
                "latency_ms": attempt.latency_ms,
                "ttft_ms": timing.first_token_ms if timing else None,
                "connect_ms": timing.connect_ms if timing else None,
                "prompt_tokens": usage.prompt if usage else None,
                "completion_tokens": usage.completion if usage else None,
                "reasoning_tokens": usage.reasoning if usage else None,
                "cached_tokens": usage.cached if usage else None,
                "tokens_estimated": bool(usage and usage.estimated),
                "cost_usd": cost_usd,
                "error_class": attempt.error.code if attempt.error else None,
                "counts": attempt.error.counts if attempt.error else True,
                "simulated": self.services.simulated,
                "explored": route.explored and first,
                "propensity": route.propensity if first else None,
                "revision": config.revision,
            }
        )


def _measured(outcome: Answer | ProviderError) -> tuple[float, ProviderError | None]:
    if isinstance(outcome, Answer):
        return outcome.timing.total_ms, None
    return (outcome.timing.total_ms if outcome.timing else 0.0), outcome


def _all_failed(attempts: Sequence[Attempt]) -> AllAttemptsFailed | Timeout:
    tried = "; ".join(f"{a.target}: {a.error.code if a.error else ''}: {a.error}" for a in attempts)
    if not attempts:
        return Timeout("the request's deadline passed before a provider could be called")
    return AllAttemptsFailed(f"every provider on the route failed: {tried}")


def _now() -> datetime:
    return live_config.utc_now()

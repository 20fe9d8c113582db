"""MAIN PATH 2: route → call → fall over → stream → record.

A request waits for providers only, never for Postgres or Redis (0.5 s at most where it is to be the trial of a target).
"""

from __future__ import annotations

import random
from datetime import datetime

from app.domain.catalog import Target, TaskType
from app.domain.config.runtime_config import RuntimeConfig
from app.domain.key_limits import NO_LIMITS, KeyLimits
from app.domain.routing import preview, router
from app.domain.routing.affinity import Session
from app.domain.routing.plan import Plan
from app.domain.routing.router import Route
from app.errors import InvalidRequest, NoTarget, UnknownModel
from app.evidence.recorder import Recorder
from app.evidence.request_log import Limit
from app.gateway import affinity, choice, embedding, permitted
from app.gateway.attempt import Attempt, Send, complete, embed
from app.gateway.backup import Backups
from app.gateway.breakers import Breakers
from app.gateway.calls import Call, Reply
from app.gateway.hedging import Hedging
from app.gateway.lessons import Lessons
from app.gateway.metrics import Metrics
from app.gateway.needs import prompt_tokens
from app.gateway.request import Request
from app.gateway.sessions import Sessions
from app.gateway.stream import ReplyStream as ReplyStream
from app.live import live_config
from app.providers.base import Answer
from app.services import Services

#: segment, task type, models of the key, and whether they need a price
_Whose = tuple[str | None, TaskType, tuple[str, ...], bool, str | None]


class Gateway:
    """The gateway of one process: services, and what lives as long as it does."""

    def __init__(
        self,
        services: Services,
        recorder: Recorder,
        breakers: Breakers,
        rng: random.Random,
        metrics: Metrics,
        hedging: Hedging | None = None,
        lessons: Lessons | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        self.services = services
        self.recorder = recorder
        self.breakers = breakers
        self.lessons = lessons or Lessons(services.redis, services.policy.gateway)
        self.sessions = sessions or Sessions(services.redis, services.policy.affinity)
        self.metrics = metrics
        #: None: off
        self.hedging = hedging
        self.backups = Backups()
        self._rng = rng
        self._log_limit = Limit(services.policy.gateway.log_per_s)
        self._plans: tuple[object, dict[_Whose, Plan]] = (None, {})

    def chat(self, call: Call) -> Reply:
        """Answer a request from the best target that can.

        Raises NoTarget, InvalidRequest, the most telling refusal where every target that could be asked refused the
        request, and AllAttemptsFailed (whose message says why, target by target) else.
        """
        request = self.route(call, stream=False)
        request.watch_client()
        attempt = self._serve(request, complete)
        return request.answered(attempt, attempt.result)

    def embed(self, call: Call) -> Reply:
        """Vectors of the model that the call names: another one's would mean something else. Raises as `chat`."""
        now = live_config.utc_now()
        plan, route = embedding.route(self.services, self.breakers.value, call, now)
        route = permitted.narrowed(self.services, call.limits, route, now)
        request = self._request(call, plan, self._within(plan, route, 0.0), stream=False)
        request.watch_client()
        attempt = self._serve(request, embed)
        return request.answered(attempt, attempt.result)

    def stream(self, call: Call) -> ReplyStream:
        """The same, as it comes: returns with the first token, until which a failure falls over unseen.

        Where that takes long it returns without, so that the caller can be given a sign of life. Raises as `chat` does;
        reading raises the TooLooError that ended the stream.
        """
        request = self.route(call, stream=True)
        request.watch_client()
        stream = ReplyStream(request, self.hedging)
        stream.begin()
        return stream

    def route(self, call: Call, *, stream: bool) -> Request:
        """Choose the route: the drawn one, or the one the request names."""
        services, config, now = self.services, self.services.config.value, live_config.utc_now()
        if call.provider is None:
            plan = self.plan(call.segment, now, call.task_type, call.limits, call.model)
            route = router.route(plan, self._rng, now)
        else:
            plan = self.plan(call.segment, now, call.task_type)
            route = permitted.narrowed(services, call.limits, self._pinned(call, plan, config), now)
        session = self.sessions.find(call)
        if session is not None and route.order:
            route = router.affine(plan, route, affinity.stay(services, session, plan, route, call, now))
        if not route.order:
            reasons = "; ".join(f"{name}: {why}" for name, why in services.left_out(config).items())
            raise NoTarget(f"no provider can answer ({reasons})")
        tokens = prompt_tokens(call.messages) if services.quotas.counts_tokens else 0.0
        route = self._within(plan, route, tokens)
        return self._request(call, plan, route, stream=stream, session=session, prompt_tokens=tokens)

    def _within(self, plan: Plan, route: Route, tokens: float) -> Route:
        """Past targets that are used up to their quota."""
        within = self.services.quotas.within(plan, route, tokens)
        if within.order[0] != route.order[0]:
            self.metrics.spilled(route.order[0])
        return within

    def _request(
        self,
        call: Call,
        plan: Plan,
        route: Route,
        *,
        stream: bool,
        session: Session | None = None,
        prompt_tokens: float = 0.0,
    ) -> Request:
        permitted.reserve(self.services, call, route.order, plan.at)
        request = Request(
            self.services,
            call,
            self.services.config.value,
            plan,
            route,
            stream,
            self.recorder,
            self.breakers,
            self.lessons,
            self.metrics,
            self._log_limit,
            self.sessions,
            session,
            prompt_tokens,
        )
        if (tracing := self.services.tracing) is not None:
            request.span = tracing.request(f"gateway {request.operation}", _traced(request))
        return request

    def plan(
        self,
        segment: str | None,
        now: datetime,
        task: TaskType = TaskType.DEFAULT,
        limits: KeyLimits = NO_LIMITS,
        model: str | None = None,
    ) -> Plan:
        """The ranking of all targets, or of all that have this model, that a key with these limits may use.

        Computed anew when config, evidence or breakers changed, else once a second. Raises ModelNotAllowed where there
        is none.
        """
        services = self.services
        stamp = (services.config.version, services.scorecard.version, self.breakers.generation, int(now.timestamp()))
        held, plans = self._plans
        if held != stamp:
            plans = {}
            self._plans = (stamp, plans)
        place = (segment, task, limits.models, limits.priced, model)
        if place not in plans:
            having = [each for each in services.targets if model in (None, each.model)]
            plans[place] = router.plan(
                services.config.value,
                permitted.within(services, limits, having, now),
                services.scorecard.value,
                self.breakers.value,
                services.policy,
                now,
                segment,
                task,
            )
        return plans[place]

    def orders(self, config: RuntimeConfig, now: datetime) -> list[preview.Order]:
        """How targets rank for whom, as it is and as it would be under `config`, by the evidence of now."""
        services, present = self.services, self.services.config.value

        def plan(of: RuntimeConfig, segment: str | None, task: TaskType) -> Plan:
            known = services.targets, services.scorecard.value, self.breakers.value, services.policy
            return router.plan(of, *known, now, segment, task)

        return preview.orders(present, config, plan)

    def _pinned(self, call: Call, plan: Plan, config: RuntimeConfig) -> Route:
        provider = call.provider
        if provider not in {p.name for p in self.services.providers}:
            known = ", ".join(p.name for p in self.services.providers)
            raise InvalidRequest(f"unknown provider {provider!r}; known are: {known}", field="provider")
        why = self.services.left_out(config).get(provider)
        if why is not None:
            raise InvalidRequest(f"{provider} cannot be called: {why}", field="provider")
        mine = tuple(c.target for c in plan.candidates if c.target.provider == provider)
        order = tuple(target for target in mine if call.model in (None, target.model))
        if call.completion is not None and call.model in self.services.endpoints[provider].provider.completions:
            order = (Target(provider, call.model),)
        if not order:
            known = ", ".join(target.model for target in mine)
            raise UnknownModel(f"{provider} has no model {call.model!r} here; it has: {known}", field="model")
        reason = f"the request names {call.asked}"
        return Route(order=order, explored=False, propensity=1.0, reason=reason, is_settled=True)

    def _serve(self, request: Request, send: Send[Answer]) -> Attempt[Answer]:
        """Call, and fall over: two at once where that is due, else one after the other. The attempt that won."""
        if self.hedging is not None and (winner := self.hedging.first_answer(request, send)) is not None:
            return winner
        for attempt in choice.next_attempts(request, send):
            if (winner := self.backups.run(request, attempt)) is not None:
                return winner
        raise request.exhausted()


def _traced(request: Request) -> dict[str, str | int | bool]:
    """What its span says at its beginning; the id is that of the request log."""
    return {
        "tooloo.request.id": request.call.request_id,
        "tooloo.task_type": request.call.task_type.value,
        "tooloo.explored": request.route.explored,
        "tooloo.reason": request.route.reason,
        "tooloo.config.revision": request.config.revision,
    }

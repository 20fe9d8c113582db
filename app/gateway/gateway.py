"""MAIN PATH 2: route → call → fall over → stream → record.

A request waits for providers only, never for Postgres or Redis.
"""

from __future__ import annotations

import random
from datetime import datetime
from typing import Self

from app.domain.catalog import Target, TaskType
from app.domain.config.runtime_config import RuntimeConfig
from app.domain.routing import router
from app.domain.routing.ranking import Plan
from app.domain.routing.router import Route
from app.errors import InvalidRequest, NoTarget, ProviderError, UnknownModel
from app.evidence.recorder import Recorder
from app.evidence.request_log import Limit
from app.gateway.breakers import Breakers
from app.gateway.calls import Attempt as Attempt
from app.gateway.calls import Begun
from app.gateway.calls import Call as Call
from app.gateway.calls import Reply as Reply
from app.gateway.hedging import Hedging
from app.gateway.metrics import Metrics
from app.gateway.request import Trip
from app.live import live_config
from app.providers.base import Answer, Delta, Timing
from app.providers.http.clock import CancelToken
from app.services import Services


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
    ) -> None:
        self.services = services
        self.recorder = recorder
        self.breakers = breakers
        self.metrics = metrics
        #: None: off
        self.hedging = hedging
        self._rng = rng
        self._log_limit = Limit(services.policy.gateway.log_per_s)
        self._plans: tuple[object, dict[tuple[str | None, TaskType], Plan]] = (None, {})

    def chat(self, call: Call) -> Reply:
        """Answer a request from the best target that can.

        Raises NoTarget, InvalidRequest, the provider's own error where another target would fare no better, and
        AllAttemptsFailed (whose message says why, target by target) else.
        """
        trip = self._depart(call, stream=False)
        if self.hedging is not None and (hedged := self.hedging.first(trip, self._complete)) is not None:
            return trip.answered(*hedged)
        for target in trip.targets():
            try:
                answer = self._complete(trip, target)
            except ProviderError as failure:
                trip.failed(target, failure)
            else:
                return trip.answered(target, answer)
        raise trip.lost()

    def stream(self, call: Call) -> ReplyStream:
        """The same, as it comes: returns with the first token, until which a failure falls over unseen.

        Raises as `chat` does. After the first token, reading raises the ProviderError that ended the stream.
        """
        trip = self._depart(call, stream=True)
        if self.hedging is not None and (hedged := self.hedging.first(trip, self._begin)) is not None:
            return ReplyStream(trip, *hedged)
        for target in trip.targets():
            try:
                begun = self._begin(trip, target)
            except ProviderError as failure:
                trip.failed(target, failure)
            else:
                return ReplyStream(trip, target, begun)
        raise trip.lost()

    def _complete(self, trip: Trip, target: Target, cancel: CancelToken | None = None) -> Answer:
        return self.services.client.complete(
            trip.endpoint(target),
            target.model,
            trip.request(target),
            timeout_ms=trip.time_left_ms(target),
            cancel=cancel,
        )

    def _begin(self, trip: Trip, target: Target, cancel: CancelToken | None = None) -> Begun:
        upstream = self.services.client.stream(
            trip.endpoint(target),
            target.model,
            trip.request(target),
            timeout_ms=trip.time_left_ms(target),
            first_token_ms=self.services.policy.gateway.first_token_ms,
            cancel=cancel,
        )
        deltas = iter(upstream)
        return Begun(upstream, next(deltas, Delta()), deltas)

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

    def _depart(self, call: Call, *, stream: bool) -> Trip:
        """Choose the route: the drawn one, or the one the request names."""
        services, config, now = self.services, self.services.config.value, live_config.utc_now()
        plan = self.plan(call.segment, now, call.task_type)
        route = router.route(plan, self._rng, now) if call.provider is None else self._pinned(call, plan, config)
        if not route.order:
            reasons = "; ".join(f"{name}: {why}" for name, why in services.left_out(config).items())
            raise NoTarget(f"no provider can answer ({reasons})")
        return Trip(
            services, call, config, plan, route, stream, self.recorder, self.breakers, self.metrics, self._log_limit
        )

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
        if not order:
            known = ", ".join(target.model for target in mine)
            raise UnknownModel(f"{provider} has no model {call.model!r} here; it has: {known}", field="model")
        return Route(order=order, explored=False, propensity=1.0, reason=f"the request names {call.asked}")


class ReplyStream:
    """Iterate over it for the Deltas; then `reply` is what Gateway.chat would have given.

    `close` stops the call where it is: to be called in any case, harmless at the end.
    """

    def __init__(self, trip: Trip, target: Target, begun: Begun) -> None:
        self.target = target
        #: the failed ones beside this
        self.attempts = tuple(trip.attempts)
        self.request_id = trip.call.request_id
        #: parameters that the target has not, and that were not sent
        self.dropped = begun.upstream.dropped
        #: set when the stream has been read to its end
        self.reply: Reply | None = None
        self._trip = trip
        self._upstream = begun.upstream
        self._deltas = begun.deltas
        self._first: Delta | None = begun.first
        self._began_ms = trip.elapsed_ms()
        trip.metrics.began(target.provider, self._began_ms)
        self._characters = 0
        self._over = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Delta:
        delta = self._first
        if delta is None:
            delta = self._read()
        else:
            self._first = None
        self._characters += len(delta.words) + len(delta.reasoning) + len(delta.tool_arguments)
        return delta

    def _read(self) -> Delta:
        try:
            return next(self._deltas)
        except StopIteration:
            self._over = True
            self.reply = self._trip.answered(self.target, self._upstream.answer)
            raise
        except ProviderError as failure:
            self._over = True
            self._trip.broke(self.target, failure, self._trip.used(self.target, self._characters))
            raise

    def close(self) -> None:
        if self._over:
            return
        self._over = True
        self._upstream.close()
        timing = Timing(connect_ms=0.0, first_token_ms=self._began_ms, total_ms=self._trip.elapsed_ms())
        self._trip.abandoned(self.target, self._trip.used(self.target, self._characters), timing)

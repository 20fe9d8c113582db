"""A request for one named provider, passed through as it came, and counted: key, usage, log and errors are ours.

Nothing is routed here: no breaker is asked or told, nothing falls over, nothing becomes evidence.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from app.access.allowance import Allowance
from app.domain.catalog import Target
from app.domain.key_limits import NO_LIMITS, KeyLimits
from app.domain.routing import router
from app.domain.routing.plan import Plan
from app.domain.routing.router import Route
from app.errors import Forbidden, InvalidRequest, NotFound, ProviderError
from app.gateway import permitted
from app.gateway.attempt import CLIENT_GONE
from app.gateway.calls import AttemptResult, Client, attempt_json, new_request_id
from app.gateway.gateway import Gateway
from app.gateway.metrics import OK
from app.live import live_config
from app.providers import passing
from app.providers.base import Endpoint, Usage
from app.providers.exchange import blamed, stated_cost
from app.providers.http import framing
from app.providers.http.clock import Call
from app.providers.http.framing import Response
from app.providers.prices import cost_usd
from app.providers.spending import Passing, asked_model
from app.providers.wire.estimate import CHARACTERS_PER_TOKEN
from app.services import Services

if TYPE_CHECKING:
    from app.tracing.spans import CallSpan

#: bytes of an answer that says how long it is, up to which it is read before it is given out: it is whole, or an error
WHOLE = 8 * 1024 * 1024
#: an answer has no length of ours to keep: it is not held in memory
MOST = 2**62


@dataclass(frozen=True, slots=True)
class Passed:
    """A request as it came."""

    provider: str
    method: str
    #: behind the provider's name
    path: str
    query: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    segment: str | None = None
    key: str | None = None
    client: Client | None = None
    limits: KeyLimits = NO_LIMITS
    #: None: nothing of what the key may use is counted
    allowance: Allowance | None = None
    request_id: str = field(default_factory=new_request_id)


def endpoint_of(services: Services, name: str) -> Endpoint:
    """Raises NotFound for a provider there is not, Forbidden for one that is not open to this, InvalidRequest for one
    that cannot be called."""
    provider = next((each for each in services.providers if each.name == name), None)
    opened = ", ".join(each.name for each in services.providers if each.passthrough) or "none"
    if provider is None:
        raise NotFound(f"there is no provider {name!r}; open to pass through are: {opened}", field="provider")
    if not provider.passthrough:
        raise Forbidden(
            f"nothing is passed through to {name}: `passthrough = true` in its block of config/providers.toml opens it;"
            f" open are: {opened}",
            field="provider",
        )
    if (why := services.left_out(services.config.value).get(name)) is not None:
        raise InvalidRequest(f"{name} cannot be called: {why}", field="provider")
    return services.endpoints[name]


class Passage:
    """One request on its way. `begin`, then iterate over it for the body of the answer; `close` it in any case."""

    def __init__(self, gateway: Gateway, passed: Passed) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._gateway = gateway
        self._passed = passed
        self._endpoint = endpoint_of(gateway.services, passed.provider)
        self._started_s = time.perf_counter()
        limits = gateway.services.policy.gateway
        self._call = Call(limits.stream_ms, limits.plain_ms)
        self._response: Response | None = None
        self._seen = Passing()
        self._over = False
        #: None: traces are off
        self._span: CallSpan | None = None

    @property
    def length(self) -> int | None:
        """Of a body that is not too long to be read at once; None: of one that is, or does not say."""
        said = "" if self._response is None else self._response.headers.get("content-length", "")
        return int(said) if said.isdecimal() and len(said) < 12 and int(said) <= WHOLE else None

    def begin(self) -> None:
        """Returns with the head of the answer. Raises InvalidRequest, or a ProviderError where none comes."""
        passed = self._passed
        url = passing.url(self._endpoint, passed.path, passed.query)
        sent = passing.headers(self._endpoint, passed.headers)
        body = passed.body if passed.body or passed.method in ("POST", "PUT", "PATCH") else None
        if passed.client is not None:
            passed.client.on_leave(self._call.interrupt)
        model = asked_model(passed.path, passed.body)
        self._reserve(model)
        if (tracing := self._gateway.services.tracing) is not None:
            self._span = tracing.call(self._endpoint.provider, model or passed.path[:200], "passthrough")
        if model is not None:
            self._gateway.services.quotas.spend(Target(passed.provider, model))
        try:
            pool = self._gateway.services.client.pool
            self._response = framing.send(pool, self._call, passed.method, url, sent, body, self._endpoint.way)
        except ProviderError as error:
            self._ended(error.code, error)
            raise blamed(error, self._endpoint, self._call) from None
        self._call.begin()
        self.status, received = self._response.status, self._response.headers
        self.headers = passing.answered(received)

    def _reserve(self, model: str | None) -> None:
        """What a text of its length would cost; what it did cost is settled behind it. Raises ModelNotAllowed."""
        passed, services, now = self._passed, self._gateway.services, live_config.utc_now()
        limits, target = passed.limits, Target(passed.provider, model or "")
        if model is not None or passed.body or limits.models:
            permitted.within(services, limits, (target,), now)
        if (asked := passed.allowance) is not None:
            usage = Usage(len(passed.body) // CHARACTERS_PER_TOKEN, services.policy.gateway.assumed_tokens)
            cost = None if model is None else cost_usd(self._endpoint.provider, model, usage, at=now)
            is_sent = bool(passed.body) and limits.by_size
            asked.reserve(usage.prompt + usage.completion if is_sent else 0, cost if is_sent else None)

    def __iter__(self) -> Iterator[bytes]:
        assert self._response is not None
        try:
            for piece in self._response.pieces(most=MOST):
                self._seen.note(piece)
                yield piece
        except ProviderError as error:
            self._ended(error.code, error)
            raise blamed(error, self._endpoint, self._call) from None
        self._call.end()
        self._ended(OK if self.status < 400 else f"http_{self.status}")

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
        self._ended(CLIENT_GONE)

    def _ended(self, status: str, error: ProviderError | None = None) -> None:
        """Counted once, in memory."""
        if self._over:
            return
        self._over = True
        metrics, row = self._gateway.metrics, self._row(status)
        if self._passed.allowance is not None:
            used = (row["prompt_tokens"] or 0) + (row["completion_tokens"] or 0)
            self._passed.allowance.settle(used, row["cost_usd"])
        metrics.passed(self._passed.provider, status)
        if row["prompt_tokens"] is not None:
            metrics.spent(self._passed.provider, row["cost_usd"], row["prompt_tokens"], row["completion_tokens"])
        target = Target(self._passed.provider, row["model"] or self._passed.path[:200])
        attempt = AttemptResult(target, status == OK, row["latency_ms"], error)
        if not self._gateway.recorder.add({"request": partial(_explained, row, target, attempt)}):
            metrics.dropped()
        if self._span is not None:
            self._end_span(self._span, status, error)

    def _end_span(self, span: CallSpan, status: str, error: ProviderError | None) -> None:
        if status == OK:
            span.answered(self._seen.model or "", self._seen.usage, None)
        else:
            span.failed(status, error, self._seen.usage)

    def _row(self, status: str) -> dict[str, Any]:
        """Of the request log; without a model it is counted under the kind of thing that was asked for."""
        passed, services, usage = self._passed, self._gateway.services, self._seen.usage
        model = asked_model(passed.path, passed.body)
        answered = self._seen.model or model
        return {
            "request_id": passed.request_id,
            "at": live_config.utc_now().isoformat(),
            "key": passed.key,
            "segment": passed.segment,
            "task_type": "default",
            "asked": f"passthrough/{passed.provider}/{passed.path}"[:300],
            "stream": self.headers.get("content-type", "").startswith("text/event-stream"),
            "status": status[:100],
            # nobody, where no answer came; as with a chat
            "provider": passed.provider if self.status else None,
            "model": (model or passed.path.partition("/")[0])[:200] if self.status else None,
            "latency_ms": round((time.perf_counter() - self._started_s) * 1000, 1),
            "prompt_tokens": None if usage is None else usage.prompt,
            "completion_tokens": None if usage is None else usage.completion,
            "cached_tokens": None if usage is None else usage.cached,
            "cost_usd": self._cost_usd(model or answered, answered),
            "simulated": services.is_simulated(passed.provider),
            "revision": services.config.value.revision,
        }

    def _cost_usd(self, model: str | None, answered: str | None) -> float | None:
        """As the provider states it, else by the price of text; never a guess."""
        provider, usage = self._endpoint.provider, self._seen.usage
        received = {} if self._response is None else self._response.headers
        if (stated := stated_cost(received, provider.cost_header)) is not None:
            return stated
        if usage is None or model is None or not self._seen.is_of_text:
            return None
        return cost_usd(provider, model, usage, at=live_config.utc_now(), answered_model=answered)


def _explained(row: dict[str, Any], target: Target, attempt: AttemptResult) -> dict[str, Any]:
    plan = Plan(candidates=(), ties=(), explorable=(), exploration_rate=0.0, at=live_config.utc_now())
    route = Route((target,), explored=False, propensity=1.0, reason="the request is passed through")
    return {**row, "attempts": [attempt_json(attempt, kept=True)], "explanation": router.explanation_json(plan, route)}

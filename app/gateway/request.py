"""One request on its way: its clock, its attempts, its breakers and its end.

Nothing in here waits: outcomes, the request's log entry (app.gateway.records makes both) and its numbers go to memory,
and from there elsewhere.
"""

from __future__ import annotations

import time
from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from app.domain.catalog import Provider, Target
from app.errors import AllAttemptsFailed, Hedged, ProviderError, Timeout, TooLooError, Unsupported
from app.evidence.recorder import Entry, Recorder
from app.evidence.request_log import Limit, sampled
from app.gateway import records
from app.gateway.breakers import Breakers
from app.gateway.calls import Attempt, Reply
from app.gateway.metrics import OK, Metrics
from app.gateway.records import Facts, Row
from app.live import live_config
from app.providers.base import Answer, ChatRequest, Endpoint, Timing, Usage
from app.providers.prices import answer_cost, cost_usd
from app.providers.wire.draft import CHARACTERS_PER_TOKEN, Draft

#: error class of an attempt whose client went away before its end; counts for and against nobody
CLIENT_GONE = "client_gone"


@dataclass(slots=True)
class Trip(Facts):
    recorder: Recorder
    breakers: Breakers
    metrics: Metrics
    log_limit: Limit

    def targets(self) -> Iterator[Target]:
        """The targets to call, one after the other, while there is time; one on trial for another request last."""
        waiting: list[Target] = []
        for target in self.route.order:
            if not self._may_call(target):
                continue
            if self.breakers.admits(target, _now()):
                self.called.append(target)
                yield target
            else:
                waiting.append(target)
        for target in waiting:
            if self._may_call(target):
                self.called.append(target)
                yield target

    def spare(self) -> Target | None:
        """One to call beside the target that is being called, where there is one in good health."""
        for target in self.route.order:
            now = _now()
            if self._may_call(target) and not self.breakers.is_open(target, now) and self.breakers.admits(target, now):
                self.called.append(target)
                return target
        return None

    def _may_call(self, target: Target) -> bool:
        had = target in self.called or any(target == each.target for each in self.passed_over)
        limit = self.services.policy.gateway.max_attempts
        return not had and len(self.called) < limit and self.time_left_ms(target) > 0

    def time_left_ms(self, target: Target) -> int:
        """The request's one deadline, or the provider's own where that is nearer."""
        left = self.services.policy.gateway.deadline_ms - self.elapsed_ms()
        mine = self.config.providers.get(target.provider)
        return int(min(left, self._provider(target).timeout_ms if mine is None else mine.timeout))

    def endpoint(self, target: Target) -> Endpoint:
        return self.services.endpoints[target.provider]

    def request(self, target: Target) -> ChatRequest:
        """Default < task type < provider < the request itself."""
        parameters = {**self.config.model_parameters(self.call.task_type, target.provider), **self.call.parameters}
        return ChatRequest(messages=self.call.messages, **parameters)

    def answered(self, target: Target, answer: Answer) -> Reply:
        """The end of a trip that went well."""
        cost = answer_cost(self._provider(target), answer, _now())
        attempt = Attempt(target, True, answer.timing.total_ms)
        self._attempted(attempt)
        latency_ms = self.elapsed_ms()
        self.metrics.answered(target.provider, latency_ms, cost, answer.usage.prompt, answer.usage.completion)
        outcome = records.outcome(self, attempt, answer.timing, answer.usage, cost)
        self._end(outcome, answer.usage, cost, served=target)
        return Reply(
            request_id=self.call.request_id,
            answer=answer,
            target=target,
            task_type=self.call.task_type,
            explored=self.route.explored,
            attempts=tuple(self.attempts),
            latency_ms=latency_ms,
            cost_usd=self.with_hedged(cost),
            simulated=self.services.simulated,
        )

    def failed(self, target: Target, error: ProviderError) -> None:
        """Count a failed attempt; raises the error where another target would fare no better."""
        if isinstance(error, Unsupported):  # nobody was called, so there is nothing to count
            self.breakers.release(target)
            self.called.remove(target)
            self.passed_over.append(Attempt(target, False, 0.0, error))
            return
        if error.elsewhere:
            self.set_aside(target, error)
            return
        self._end(self._failure(target, error), error=error)
        error.calls = len(self.attempts)
        raise error

    def set_aside(self, target: Target, error: ProviderError) -> None:
        """Count a failed attempt after which the request goes on, whatever the error."""
        outcome = self._failure(target, error)
        if outcome is not None:
            self._hand_over({"outcome": outcome})

    def hedged(self, target: Target, after_ms: float, used: Usage | None) -> None:
        """Count a call that another one's answer made needless: paid for as far as is known, good or bad for nobody.

        `after_ms` is what it took at least. It is over then as far as the request is concerned.
        """
        error = Hedged()
        attempt = Attempt(target, False, after_ms, error)
        self._attempted(attempt)
        usage = used or self.used(target)
        cost = self._spent(target, usage)
        self.hedged_usd += cost or 0.0
        self.hedged_tokens = (self.hedged_tokens[0] + usage.prompt, self.hedged_tokens[1] + usage.completion)
        outcome = records.outcome(self, attempt, None, usage, cost, error_class=error.code, counts=error.counts)
        if outcome is not None:
            self._hand_over({"outcome": outcome})

    def broke(self, target: Target, error: ProviderError, usage: Usage) -> None:
        """The end of a stream that had begun: counted against the target, and nobody can take over.

        Paid for as far as it came, as far as anybody knows.
        """
        cost = self._spent(target, usage)
        outcome = self._failure(target, error, usage, cost)
        self._end(outcome, usage, cost, served=target, error=error)

    def lost(self) -> AllAttemptsFailed | Timeout:
        """The end of a trip on which every target failed: the error to raise."""
        # what a target cannot do matters to the caller where no other was called
        causes = tuple(a.error for a in self.attempts or self.passed_over if a.error is not None)
        error: AllAttemptsFailed | Timeout
        if causes:
            asked = [*self.passed_over, *self.attempts]
            tried = "; ".join(f"{a.target}: {a.error.code if a.error else ''}: {a.error}" for a in asked)
            error = AllAttemptsFailed(f"every provider on the route failed: {tried}", causes=causes)
        else:
            error = Timeout("the request's deadline passed before a provider could be called")
        self._end(None, error=error)
        error.calls = len(self.attempts)
        return error

    def abandoned(self, target: Target, usage: Usage, timing: Timing) -> None:
        """The end of a stream whose client went away: paid for as far as it came, good or bad for nobody."""
        self.breakers.release(target)
        attempt = Attempt(target, False, timing.total_ms)
        insort(self.attempts, attempt, key=self.place)
        self.metrics.attempt(target, CLIENT_GONE)
        cost = self._spent(target, usage)
        outcome = records.outcome(self, attempt, timing, usage, cost, error_class=CLIENT_GONE, counts=False)
        self._end(outcome, usage, cost, served=target, status=CLIENT_GONE)

    def used(self, target: Target, characters: int = 0) -> Usage:
        """An estimate for a call that came to no end: its prompt, and what had come of the answer."""
        prompt = Draft().usage_of(self.request(target)).prompt
        return Usage(prompt, -(-characters // CHARACTERS_PER_TOKEN), estimated=True)

    def _provider(self, target: Target) -> Provider:
        return self.services.endpoints[target.provider].provider

    def _spent(self, target: Target, usage: Usage) -> float | None:
        """USD of a call that came to no end, where a price is known."""
        cost = cost_usd(self._provider(target), target.model, usage, at=_now())
        self.metrics.spent(target.provider, cost, usage.prompt, usage.completion)
        return cost

    def _failure(
        self, target: Target, error: ProviderError, usage: Usage | None = None, cost: float | None = None
    ) -> Row | None:
        attempt = Attempt(target, False, error.timing.total_ms if error.timing else 0.0, error)
        self._attempted(attempt)
        return records.outcome(self, attempt, error.timing, usage, cost, error_class=error.code, counts=error.counts)

    def _attempted(self, attempt: Attempt) -> None:
        insort(self.attempts, attempt, key=self.place)
        self.breakers.observe(attempt.target, attempt.error, _now())
        self.metrics.attempt(attempt.target, OK if attempt.error is None else attempt.error.code)

    def _end(
        self,
        outcome: Row | None,
        usage: Usage | None = None,
        cost: float | None = None,
        *,
        served: Target | None = None,
        error: TooLooError | None = None,
        status: str | None = None,
    ) -> None:
        """Count the request, and hand its last outcome and its log entry over: with all it cost, by who served it."""
        ended = status or (OK if error is None else error.code)
        self.metrics.request(ended, stream=self.stream)
        entry = records.log_entry(self, ended, served, usage, cost)
        request: Entry = {"request": lambda: {**entry, **self._explained(ended)}}
        self._hand_over(request if outcome is None else {"outcome": outcome, **request})

    def _hand_over(self, entry: Entry) -> None:
        if not self.recorder.add(entry):
            self.metrics.dropped()

    def _explained(self, ended: str) -> Row:
        """Attempts and explanation, worked out by the recorder's thread.

        Empty where the policy does not keep the request: then it counts in the usage, and that is all. Those that did
        not go straight through are not sampled, and have room of their own: it is they that people ask about.
        """
        straight = records.went_straight(self, ended)
        if straight and not sampled(self.call.request_id, self.services.policy.gateway.log_share):
            return {}
        if not self.log_limit.takes(time.monotonic(), urgent=not straight):
            return {}
        return records.explained(self)


def _now() -> datetime:
    return live_config.utc_now()

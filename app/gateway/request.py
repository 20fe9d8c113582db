"""One request: its clock, its attempts as they end, and its end.

Nothing in here waits: outcomes, the request's log entry (app.gateway.records makes both) and its numbers go to memory,
and from there elsewhere.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app.domain.catalog import Target, WireFormat
from app.domain.config.runtime_config import RuntimeConfig
from app.domain.routing import retry
from app.domain.routing.affinity import Session
from app.domain.routing.plan import Plan
from app.domain.routing.router import Route
from app.errors import (
    AllAttemptsFailed,
    BadRequest,
    BeganDifferently,
    ClientLeft,
    ContentFiltered,
    LimitSpent,
    ProviderError,
    Timeout,
    Unsupported,
    most_telling,
)
from app.evidence.recorder import Entry, Recorder
from app.evidence.request_log import Limit
from app.gateway import records
from app.gateway.attempt import CLIENT_GONE, Attempt
from app.gateway.breakers import Breakers
from app.gateway.calls import AttemptResult, Call, Reply
from app.gateway.lessons import Lessons
from app.gateway.metrics import OK, Metrics
from app.gateway.needs import needs
from app.gateway.records import Row
from app.gateway.sessions import Sessions, after
from app.gen_ai import CHAT, EMBEDDINGS
from app.live import live_config
from app.providers.base import Answer, Timing
from app.services import Services

if TYPE_CHECKING:
    from app.tracing.spans import RequestSpan


@dataclass(eq=False, slots=True, repr=False)
class Request:
    services: Services
    call: Call
    config: RuntimeConfig
    plan: Plan
    route: Route
    stream: bool
    recorder: Recorder
    breakers: Breakers
    lessons: Lessons
    metrics: Metrics
    log_limit: Limit
    sessions: Sessions
    #: where its conversation was, if it goes on with one
    session: Session | None
    #: about as many, where a limit of tokens is known; else 0
    prompt_tokens: float
    started_s: float = field(default_factory=time.perf_counter)
    #: in the order in which they began; the last, or the last two, may not have ended
    attempts: list[Attempt[Any]] = field(default_factory=list)
    #: of targets that have no way to do what is asked: no call was made
    passed_over: tuple[AttemptResult, ...] = ()
    _needs: frozenset[str] | None = None
    #: how many of `attempts` ended with the target refusing the request
    refusals: int = 0
    #: outcomes of refusals: whether they count is known at the end, when another target has served the request or none
    refused: list[Row] = field(default_factory=list)
    #: those of `attempts` that are paid for beside the answer: a hedge made them needless, or they broke off
    beside: tuple[Attempt[Any], ...] = ()
    #: its client waits no longer
    left: bool = False
    #: a target to ask once more, and when: seconds of perf_counter()
    again: tuple[Target, float] | None = None
    #: None: traces are off
    span: RequestSpan | None = None

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started_s) * 1000

    def time_left_ms(self) -> int:
        return int(self.services.policy.gateway.deadline_ms - self.elapsed_ms())

    @property
    def needs(self) -> frozenset[str]:
        if self._needs is None:
            self._needs = needs(self.call.messages, self.call.parameters, stream=self.stream)
        return self._needs

    @property
    def operation(self) -> str:
        """As OpenTelemetry calls it."""
        return CHAT if self.call.embedding is None else EMBEDDINGS

    def watch_client(self) -> None:
        """What is done for a client ends when they leave, whatever it waits for."""
        if self.call.client is not None:
            self.call.client.on_leave(self.client_left)

    def client_left(self) -> None:
        """Stop what is done for nobody; called in another thread."""
        self.left = True
        for attempt in tuple(self.attempts):
            attempt.stop()

    def results(self) -> tuple[AttemptResult, ...]:
        """Of the attempts that have ended."""
        return tuple([each.summary for each in self.attempts if each.summary is not None])

    def failed(self, attempt: Attempt[Any], error: ProviderError) -> None:
        """An attempt failed; raises the error where another target would fare no better."""
        if isinstance(error, Unsupported):  # nobody was called, so there is nothing to count
            self.breakers.in_flight.end(attempt.target, attempt, stream=self.stream, answered=False)
            self.breakers.release(attempt.target)
            attempt.give_back()
            self.attempts.remove(attempt)
            self.passed_over += (AttemptResult(attempt.target, False, 0.0, error),)
            return
        if self.goes_elsewhere(error):
            self.again = self._asks_again(attempt, error)
            self.set_aside(attempt, error)
            return
        if self.left:
            timing = error.timing or Timing(connect_ms=0.0, first_token_ms=None, total_ms=attempt.elapsed_ms())
            self.abandoned(attempt, 0, timing)
            raise ClientLeft from error
        attempt.fail(error)
        error.calls = len(self._end(error.code, attempt))
        raise error

    def goes_elsewhere(self, error: ProviderError) -> bool:
        """May another target be asked after this?"""
        if self.left:
            return False
        if isinstance(error, ContentFiltered):
            return self.services.policy.gateway.filtered_elsewhere
        return error.elsewhere

    def _asks_again(self, attempt: Attempt[Any], error: ProviderError) -> tuple[Target, float] | None:
        """Is it one after which the same target may answer in a moment? Once per request, at its first target."""
        target = attempt.target
        if len(self.attempts) > 1 or target != self.route.order[0] or self.route.explored:
            return None
        has_equal = any(other != target and other in self.route.order for other in self.plan.ties)
        sound = self.breakers.is_sound(target)
        wait_ms = retry.wait_ms(error, self.services.policy.gateway, sound=sound, has_equal=has_equal)
        if wait_ms is None or wait_ms > self.time_left_ms():
            return None
        return target, time.perf_counter() + wait_ms / 1000

    def set_aside(self, attempt: Attempt[Any], error: ProviderError) -> None:
        """An attempt failed after which the request goes on, whatever the error."""
        attempt.fail(error)
        self.refusals += isinstance(error, BadRequest)
        self._goes_on(attempt)

    def overtaken(self, attempt: Attempt[Any]) -> None:
        """An attempt is over, as far as the request is concerned, because another one has answered or ended it."""
        attempt.hedge()
        self.beside += (attempt,)
        self._goes_on(attempt)

    def answered(self, attempt: Attempt[Any], answer: Answer) -> Reply:
        """The end of a request that went well."""
        attempt.succeed(answer)
        if self.call.embedding is None:  # vectors are no conversation, and say nothing of one
            self._learn(attempt)
            self._remember(attempt.target, answer)
        latency_ms = self.elapsed_ms()
        self.metrics.answered(attempt.target.provider, latency_ms, embedding=self.call.embedding is not None)
        results = self._end(OK, attempt, served=attempt)
        return Reply(
            request_id=self.call.request_id,
            answer=answer,
            target=attempt.target,
            task_type=self.call.task_type,
            explored=self.route.explored,
            attempts=results,
            latency_ms=latency_ms,
            cost_usd=records.cost_usd(self, attempt),
            cache_saved_usd=attempt.saved_usd,
            simulated=self.services.is_simulated(attempt.target.provider),
        )

    def _remember(self, target: Target, answer: Answer) -> None:
        """Where the conversation is now; vectors are none."""
        if self.call.embedding is not None:
            return
        marked = self.services.endpoints[target.provider].provider.format is WireFormat.ANTHROPIC
        self.sessions.keep(self.call, answer, after(target, answer.usage, self.session, marked=marked))

    def _learn(self, served: Attempt[Any]) -> None:
        """Who refused what this one served, lacks something."""
        needs = self.needs if self.refusals or self.lessons.unexplained else frozenset[str]()
        self.lessons.served(served.target, needs)
        for result in self.results() if self.refusals else ():
            if result.error is not None and _is_refusal(result.error):
                self.lessons.refused(result.target, needs, result.error, live_config.utc_now())

    def did_not_help(self, attempt: Attempt[Any], error: ProviderError, characters: int) -> None:
        """An attempt to go on with another one's answer failed."""
        if isinstance(error, Unsupported):
            self.failed(attempt, error)
        elif isinstance(error, BeganDifferently):
            self.broke(attempt, error, characters)
        else:
            self.set_aside(attempt, error)

    def broke(self, attempt: Attempt[Any], error: ProviderError, characters: int) -> None:
        """An attempt failed behind a part of its answer, paid for; the request goes on."""
        attempt.cut(error, characters)
        self.beside += (attempt,)
        self._goes_on(attempt)

    def gave_up(self, broken: Attempt[Any], error: ProviderError) -> None:
        """The end of a stream that broke off, and that nobody could go on with."""
        self._end(error.code, served=broken)

    def cut(self, attempt: Attempt[Any], error: ProviderError, characters: int) -> None:
        """The end of a stream that had begun: counted against the target, and nobody can take over."""
        attempt.cut(error, characters)
        self._end(error.code, attempt, served=attempt)

    def abandoned(self, attempt: Attempt[Any], characters: int, timing: Timing) -> None:
        """The end of a stream whose client went away: good or bad for nobody."""
        attempt.abandon(characters, timing)
        self._end(CLIENT_GONE, attempt, served=attempt)

    def all_abandoned(self, timing: Timing) -> None:
        """The same where none of the attempts that run has begun."""
        *others, last = [each for each in self.attempts if each.summary is None]
        for each in others:
            each.abandon(0, timing)
            self.beside += (each,)
            self._goes_on(each)
        self.abandoned(last, 0, timing)

    def exhausted(self) -> AllAttemptsFailed | Timeout | BadRequest | LimitSpent | ClientLeft:
        """The end of a request that every target failed or refused: the error to raise."""
        if self.left:
            self._end(CLIENT_GONE)
            return ClientLeft()
        results = self.results()
        # what a target cannot do matters to the caller where no other was called
        causes = tuple(each.error for each in results or self.passed_over if each.error is not None)
        error: AllAttemptsFailed | Timeout | BadRequest | LimitSpent
        asked = self.passed_over + results
        if causes and (telling := most_telling(causes)) is not None:
            others = "; ".join(f"{a.target}: {a.error}" for a in asked if a.error not in (None, telling))
            if others:
                telling.args = (f"{telling} (every target that could be asked refused the request: {others})",)
                telling.quotes |= any(a.error.quotes for a in asked if a.error is not None)
            error = telling
        elif causes:
            tried = "; ".join(f"{a.target}: {a.error.code if a.error else ''}: {a.error}" for a in asked)
            error = AllAttemptsFailed(f"every provider on the route failed: {tried}", causes=causes)
        else:
            error = Timeout("the request's deadline passed before a provider could be called")
        error.calls = len(self._end(error.code))
        return error

    def _count(self, attempt: Attempt[Any]) -> Row | None:
        """The one place where an attempt that has ended is counted: breaker, numbers, and its outcome, to hand over."""
        answered = attempt.status == OK and not self.stream
        self.breakers.in_flight.end(attempt.target, attempt, stream=self.stream, answered=answered)
        if attempt.status == CLIENT_GONE:
            self.breakers.release(attempt.target)
        else:
            error = None if attempt.summary is None else attempt.summary.error
            self.breakers.observe(attempt.target, error, live_config.utc_now())
        attempt.tell_quota()
        operation = self.operation
        ended = attempt.summary
        took_ms = (time.perf_counter() - attempt.started_s) * 1000 if ended is None else ended.latency_ms
        self.metrics.attempt(attempt.target, attempt.status, took_ms, operation=operation)
        if attempt.usage is not None:
            usage = attempt.usage
            self.metrics.used(attempt.target, usage.prompt, usage.completion, operation=operation)
            self.metrics.spent(attempt.target.provider, attempt.cost_usd, usage.prompt, usage.completion)
        return records.outcome(self, attempt)

    def _goes_on(self, ended: Attempt[Any]) -> None:
        outcome = self._count(ended)
        if outcome is None:
            return
        if ended.summary is not None and ended.summary.error is not None and _is_refusal(ended.summary.error):
            self.refused.append(outcome)
        else:
            self._hand_over({"outcome": outcome})

    def _end(
        self, status: str, last: Attempt[Any] | None = None, *, served: Attempt[Any] | None = None
    ) -> tuple[AttemptResult, ...]:
        """Count the request and its last attempt, and hand over what is written of both. How all of them ended."""
        for refused in self.refused:
            self._hand_over({"outcome": {**refused, "counts": status == OK}})
        outcome = None if last is None else self._count(last)
        self.metrics.request(status, stream=self.stream)
        if (allowance := self.call.allowance) is not None:
            allowance.settle(records.tokens(self, served), records.cost_usd(self, served))
        results = self.results()
        request: Entry = {"request": records.log_entry(self, status, served, results)}
        self._hand_over(request if outcome is None else {"outcome": outcome, **request})
        if self.span is not None:
            self.span.end(
                status, None if served is None else str(served.target), failed=status not in (OK, CLIENT_GONE)
            )
        return results

    def _hand_over(self, entry: Entry) -> None:
        if not self.recorder.add(entry):
            self.metrics.dropped()


def _is_refusal(error: ProviderError) -> bool:
    """Of a request that another target may serve, by the provider itself.

    What does not fit a context is no lack, and what we refused ourselves says nothing of a target.
    """
    return type(error) is BadRequest and error.status_code is not None

"""A streamed reply: the first target that begins gives it; where it breaks off another one may take over."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from time import perf_counter
from typing import Any, Self

from app.domain.catalog import Target
from app.errors import ClientLeft, ProviderError, TooLooError
from app.gateway import choice, rescue
from app.gateway.attempt import Attempt, begin, open_stream
from app.gateway.calls import AttemptResult, Begun, Reply
from app.gateway.hedging import Hedging
from app.gateway.request import Request
from app.providers.base import BEAT, WAIT, Delta, Timing, Usage
from app.providers.http.connections import Connection


class ReplyStream:
    """Iterate over it for the Deltas, and a BEAT where none comes; then `reply` is what Gateway.chat would have given.

    `close` stops the call where it is: to be called in any case, harmless at the end.
    """

    __slots__ = (
        *("reply", "request_id"),
        *("_ahead", "_attempt", "_began_ms", "_begun", "_characters", "_deltas", "_given", "_over", "_prefilled"),
        *("_request", "_relayed", "_silent", "_text_only", "_whole"),
    )

    def __init__(self, request: Request, hedging: Hedging | None) -> None:
        self.request_id = request.call.request_id
        #: set when the stream has been read to its end
        self.reply: Reply | None = None
        self._request = request
        #: the attempt that runs, and what is left of its answer
        self._attempt: Attempt[Begun] | None = None
        self._begun: Begun | None = None
        self._began_ms: float | None = None
        self._ahead: Delta | None = None
        self._characters = 0
        #: the text of the answer that has been given out, and whether that is all that has been
        self._given: list[str] = []
        self._text_only = request.call.parameters.keys().isdisjoint(("n", "logprobs"))
        #: characters that the attempt that runs has said and nobody was given
        self._silent = 0
        #: what the attempt that runs was told to go on from
        self._prefilled = ""
        self._whole = request.call.whole or request.services.policy.gateway.whole_answers
        self._over = False
        self._relayed = False
        self._deltas = self._run(hedging)

    @property
    def target(self) -> Target | None:
        """Who answers; None: nobody has begun yet."""
        return None if self._began_ms is None or self._attempt is None else self._attempt.target

    @property
    def attempts(self) -> tuple[AttemptResult, ...]:
        """Those that have ended."""
        return self._request.results()

    @property
    def dropped(self) -> tuple[str, ...]:
        """Parameters that the target has not, and that were not sent."""
        return () if self._begun is None else self._begun.upstream.dropped

    @property
    def usage(self) -> Usage | None:
        """So far, of who answers; what is not told yet is estimated."""
        return None if self._begun is None else self._begun.upstream.usage

    @property
    def native_facts(self) -> Mapping[str, Any]:
        """So far, of who answers: see Answer."""
        return {} if self._begun is None else self._begun.upstream.native_facts

    def relay(self) -> bool:
        """From now on give a WAIT where the next piece has not come, or what comes next may wait for something else.

        False where that cannot be: there is nothing to be waited for any more.
        """
        if self._began_ms is not None and not self._over and self._begun is not None:
            self._relayed = self._begun.upstream.wait(waits=False)
        return self._relayed

    @property
    def waits_for(self) -> Connection | None:
        """After a WAIT: what is to be polled until it is asked for more; None: it wants a thread, and `wait`."""
        return self._begun.upstream.waits_for if self._relayed and self._begun is not None else None

    def wait(self) -> None:
        """Give no WAIT any more."""
        if self._relayed and self._begun is not None:
            self._relayed = False
            self._begun.upstream.wait(waits=True)

    def begin(self) -> None:
        """Wait for the first token, or for the time of a sign of life."""
        self._ahead = next(self._deltas, None)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Delta:
        delta = self._ahead
        if delta is None:
            delta = next(self._deltas)
        else:
            self._ahead = None
        self._characters += len(delta.text) + len(delta.refusal) + len(delta.reasoning) + len(delta.tool_arguments)
        return delta

    def _run(self, hedging: Hedging | None) -> Generator[Delta]:
        try:
            yield from self._first(hedging)
            while not self._over:
                yield from self._given_out()
        except TooLooError:
            self._over = True
            raise

    def _first(self, hedging: Hedging | None) -> Iterator[Delta]:
        """Ends when there is an attempt that has begun; what it gives is still to be read."""
        request, winner = self._request, None
        if hedging is not None and not self._whole:
            winner = yield from hedging.first(request, begin, self._tried)
        attempts = choice.next_attempts(request, begin)
        while winner is None:
            if (attempt := next(attempts, None)) is None:
                raise request.exhausted()
            winner = yield from self._tried(request, attempt)
        self._serve(winner, winner.result)

    def _tried(self, request: Request, attempt: Attempt[Begun]) -> Generator[Delta, None, Attempt[Begun] | None]:
        """The attempt, when it has begun; None where it failed, which is counted then."""
        try:
            begun = self._open(attempt)
            ahead = yield from (self._to_the_end if self._whole else _first_of)(begun.deltas)
        except ProviderError as failure:
            request.failed(attempt, failure)
            return None
        attempt.result = replace(begun, deltas=chain(ahead, begun.deltas))
        return attempt

    def _open(self, attempt: Attempt[Begun]) -> Begun:
        self._attempt, self._begun = attempt, None
        self._begun = begun = open_stream(attempt)
        return begun

    def _serve(self, attempt: Attempt[Begun], begun: Begun) -> None:
        """From now on this one's answer is given out."""
        self._attempt, self._begun = attempt, begun
        self._request.breakers.in_flight.end(attempt.target, attempt, stream=True, answered=True)
        if self._began_ms is None:
            self._began_ms = self._request.elapsed_ms()
            self._request.metrics.began(attempt.target.provider, self._began_ms)

    def _given_out(self) -> Iterator[Delta]:
        """The answer as far as it comes. Behind it the stream is over, or another attempt has its place."""
        assert self._attempt is not None
        assert self._begun is not None
        given = self._given
        try:
            for delta in self._begun.deltas:
                if delta.text:
                    given.append(delta.text)
                elif delta.tool_index is not None or delta.refusal or delta.native is not None:
                    self._text_only = False
                yield delta
            answer = self._begun.upstream.answer
        except ProviderError as failure:
            yield from self._in_a_thread()
            yield from self._taken_over(self._attempt, failure)
        else:
            yield from self._in_a_thread()
            self._over = True
            if self._prefilled:
                answer = replace(answer, text=self._prefilled + answer.text)
            self.reply = self._request.answered(self._attempt, answer)

    def _in_a_thread(self) -> Iterator[Delta]:
        if self._relayed:
            self.wait()
            yield WAIT

    def _taken_over(self, broken: Attempt[Begun], failure: ProviderError) -> Iterator[Delta]:
        """Another attempt goes on where this one broke off; raises the failure where none can.

        The caller gets one answer or an error, never parts of two: who goes on has been given the beginning, and is
        known to continue it, or has said it too, letter by letter.
        """
        request, given = self._request, "".join(self._given)
        if request.left:
            self._abandon(broken)
            raise ClientLeft from failure
        if self._over or not self._text_only or not rescue.is_possible(request, failure):
            request.cut(broken, failure, self._characters)
            raise failure
        request.broke(broken, failure, self._characters)
        until_s = perf_counter() + request.services.policy.gateway.rescue_ms / 1000
        for attempt, prefilled in rescue.attempts(request, broken, given, until_s):
            rest = rescue.continuing if prefilled else rescue.agreeing
            try:
                begun = self._open(attempt)
                ahead = yield from rest(rescue.in_time(self._with_beats(begun.deltas), until_s), given)
            except ProviderError as error:
                if self._begun is not None:
                    self._begun.upstream.close()
                if request.left:
                    self._abandon(attempt)
                    raise ClientLeft from error
                request.did_not_help(attempt, error, self._silent)
            else:
                self._prefilled = given if prefilled else ""
                self._serve(attempt, replace(begun, deltas=rescue.without_reasoning(chain(ahead, begun.deltas))))
                return
        request.gave_up(broken, failure)
        raise failure

    def _to_the_end(self, deltas: Iterator[Delta]) -> Generator[Delta, None, list[Delta]]:
        """All of it, with BEATs for who waits meanwhile."""
        kept = []
        for delta in self._with_beats(deltas):
            if delta is BEAT:
                yield BEAT
            else:
                kept.append(delta)
        return kept

    def _with_beats(self, deltas: Iterator[Delta]) -> Iterator[Delta]:
        """What is read and not given out leaves the caller waiting too."""
        every_s = self._request.services.policy.gateway.heartbeat_ms / 1000
        beat_s = perf_counter() + every_s
        self._silent = 0
        for delta in deltas:
            self._silent += len(delta.words)
            if perf_counter() >= beat_s and delta is not BEAT:
                beat_s += every_s
                yield BEAT
            yield delta

    def close(self) -> None:
        if self._over:
            return
        if self._begun is not None:
            self._begun.upstream.close()
        self._abandon(self._attempt)

    def _abandon(self, attempt: Attempt[Begun] | None) -> None:
        """The end, as its client has left. None: two run at once, of which none has begun."""
        self._over = True
        timing = Timing(connect_ms=0.0, first_token_ms=self._began_ms, total_ms=self._request.elapsed_ms())
        if attempt is None:
            self._deltas.close()
            self._request.all_abandoned(timing)
        else:
            self._request.abandoned(attempt, self._characters, timing)


def _first_of(deltas: Iterator[Delta]) -> Generator[Delta, None, tuple[Delta, ...]]:
    """BEATs pass; returns the first Delta, or nothing where there is none."""
    for delta in deltas:
        if delta is not BEAT:
            return (delta,)
        yield BEAT
    return ()

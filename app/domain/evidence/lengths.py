"""Live calls as if they had been probes: who serves long answers must not look slow beside who is only probed.

A target that leads is known from what people ask, the others from the benchmark's prompts. To be compared, time and
money of a live call are told for the lengths of the benchmark's:

    L′ = L · (L̄ + β·(t_probe − t̄)) / (L̄ + β·(t − t̄))    β: ms per token, by least squares over what the target answered
    C′ = C · (p_probe + 4·t_probe) / (p + 4·t)           a token of an answer costs about four of a prompt

t: tokens of the answer, p: of the prompt. β is drawn to half of L̄ / t̄ as far as lengths hardly differ (ridge), is no
less than 0 and no more than L̄ / t̄. Where token counts are missing, or estimated, a call counts as it came.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from app.domain.outcome import Outcome, Source

#: tokens of a prompt that cost as much as one of an answer
ANSWER_PRICE = 4.0
#: share of the time that lengths are taken to explain before they are seen to, and the weight of that, as a variance of
#: lengths relative to their mean squared
PRIOR_SHARE, PRIOR_WEIGHT = 0.5, 0.002
#: calls that the fit remembers, and probes that the usual lengths do
MOST_CALLS, MOST_PROBES = 200.0, 40.0
#: what is left of a time or a price at least, and becomes of it at most
LEAST, MOST = 0.1, 10.0


@dataclass(frozen=True, slots=True)
class Lengths:
    #: means over probes
    prompt_tokens: float = 0.0
    answer_tokens: float = 0.0
    probes: float = 0.0
    #: means over all calls, and what their deviations multiply to, per call
    tokens: float = 0.0
    latency_ms: float = 0.0
    tokens_variance: float = 0.0
    covariance: float = 0.0
    calls: float = 0.0

    def with_call(self, outcome: Outcome) -> Self:
        """One more success."""
        answer = _tokens(outcome)
        if answer is None:
            return self
        calls = min(self.calls, MOST_CALLS - 1) + 1
        share, step, late = 1 / calls, answer - self.tokens, outcome.latency_ms - self.latency_ms
        known = replace(
            self,
            calls=calls,
            tokens=self.tokens + step * share,
            latency_ms=self.latency_ms + late * share,
            tokens_variance=(1 - share) * (self.tokens_variance + share * step * step),
            covariance=(1 - share) * (self.covariance + share * step * late),
        )
        benchmark = outcome.source is Source.BENCHMARK
        return known._with_probe(answer, float(outcome.prompt_tokens or 0)) if benchmark else known

    def _with_probe(self, answer: float, prompt: float) -> Self:
        probes = min(self.probes, MOST_PROBES - 1) + 1
        return replace(
            self,
            probes=probes,
            answer_tokens=self.answer_tokens + (answer - self.answer_tokens) / probes,
            prompt_tokens=self.prompt_tokens + (prompt - self.prompt_tokens) / probes,
        )

    @property
    def token_ms(self) -> float:
        """β, in ms per token of an answer."""
        if not self.tokens:
            return 0.0
        most, prior = self.latency_ms / self.tokens, PRIOR_WEIGHT * self.tokens**2
        slope = (self.covariance + prior * PRIOR_SHARE * most) / (self.tokens_variance + prior)
        return min(most, max(0.0, slope))

    def _expected_ms(self, answer: float) -> float:
        """Of an answer of so many tokens; above 0."""
        return max(LEAST * self.latency_ms, self.latency_ms + self.token_ms * (answer - self.tokens), 1e-3)

    def as_probe(self, outcome: Outcome) -> Outcome:
        """A live success as it would have been with the benchmark's lengths."""
        answer = _tokens(outcome)
        if answer is None or not self.probes:
            return outcome
        ratio = self._expected_ms(self.answer_tokens) / self._expected_ms(answer)
        return replace(
            outcome,
            latency_ms=_within(ratio, 1.0) * outcome.latency_ms,
            cost_usd=None if outcome.cost_usd is None else self._price(outcome.cost_usd, answer, outcome),
        )

    def _price(self, cost_usd: float, answer: float, outcome: Outcome) -> float:
        """Of prompts nothing is said where one of both is unknown."""
        prompts = (self.prompt_tokens, outcome.prompt_tokens or 0)
        usual, mine = prompts if all(prompts) else (0.0, 0.0)
        return _within(
            cost_usd * (usual + ANSWER_PRICE * self.answer_tokens) / (mine + ANSWER_PRICE * answer), cost_usd
        )


def _tokens(outcome: Outcome) -> float | None:
    return None if outcome.tokens_estimated or not outcome.completion_tokens else float(outcome.completion_tokens)


def _within(value: float, whole: float) -> float:
    return min(MOST * whole, max(LEAST * whole, value))

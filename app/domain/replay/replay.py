"""Replay a trace through the code that serves traffic, without servers, in seconds; and through baselines.

A policy sees round tables, and of each request the outcome of the provider that it chose: latency, success, cost. Live
quality is hidden from it, as it is from a live system.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from app.domain.catalog import Target, TaskType
from app.domain.config import runtime_config
from app.domain.config.runtime_config import ProviderConfig
from app.domain.evidence.scorecard import Scorecard
from app.domain.optimizer import optimizer
from app.domain.optimizer.optimizer import OptimizerState
from app.domain.outcome import Outcome, Source
from app.domain.policy import Policy
from app.domain.replay import bandits, trace
from app.domain.replay.metrics import Tally
from app.domain.replay.quotas import Quotas as RateLimiter
from app.domain.replay.trace import Header, Offer, Request, Round, Sample
from app.domain.rounds.measurement import own_trouble
from app.domain.routing import router, scoring
from app.domain.routing.allowance import Reading
from app.domain.routing.breaker import Breaker
from app.domain.routing.quota import REQUESTS
from app.domain.routing.quotas import Quotas
from app.errors import RateLimited, ServerError

#: model of the targets that stand for a trace's providers
MODEL = "trace"
#: second 0 of a trace
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class Chooser(Protocol):
    """A routing policy under replay."""

    def offer(self, providers: Sequence[str]) -> None: ...

    def choose(self, at_s: float) -> str: ...

    def learn(self, at_s: float, provider: str, sample: Sample) -> None: ...

    def close_round(self, round_: Round) -> None: ...


@dataclass(frozen=True, slots=True)
class Replay:
    """What one policy did on one trace; `figures` as the trace scorer names them."""

    header: Header
    policy_name: str
    seed: int
    decisions: tuple[str, ...]
    figures: dict[str, Any]


def replay(lines: Iterable[str], policy_name: str, policy: Policy, seed: int) -> Replay:
    """Raises ValueError for an unknown policy name, and for a line that is not of the format."""
    header, rows = trace.read(lines)
    run = Run(header, policy_name, policy, seed)
    decisions = tuple(chosen for chosen in map(run.step, rows) if chosen is not None)
    return Replay(header, policy_name, seed, decisions, run.tally.figures())


class Run:
    """One policy on one trace, row by row, so that several can go through the same rows at once."""

    def __init__(
        self, header: Header, policy_name: str, policy: Policy, seed: int, quotas: RateLimiter | None = None
    ) -> None:
        self.chooser = _chooser(policy_name, header, policy, random.Random(seed))
        self.tally = Tally(header)
        self.quotas = quotas or RateLimiter({})

    def step(self, row: Offer | Round | Request) -> str | None:
        """Whom a request went to."""
        if isinstance(row, Offer):
            self.chooser.offer(row.providers)
            return None
        if isinstance(row, Round):
            self.chooser.close_round(row)
            return None
        provider = self.chooser.choose(row.at_s)
        sample = self.quotas.answer(provider, row.at_s, row.samples[provider])
        self.tally.add(row, provider, sample)
        self.chooser.learn(row.at_s, provider, sample)
        return provider


def _chooser(name: str, header: Header, policy: Policy, rng: random.Random) -> Chooser:
    kind, _, provider = name.partition(":")
    if kind == "fixed":
        if provider not in header.providers:
            raise ValueError(f"fixed:{provider}: providers of this trace are {', '.join(header.providers)}")
        return bandits.Fixed(provider)
    if name not in POLICIES:
        raise ValueError(f"unknown policy {name!r}; known are: {', '.join(POLICIES)}, fixed:PROVIDER")
    return POLICIES[name](header, policy, rng)


class Served:
    """TooLoo itself: router, breakers, scorecard and optimizer, in the order in which the running system uses them."""

    def __init__(self, header: Header, policy: Policy, rng: random.Random) -> None:
        self.policy = replace(
            policy,
            objective=replace(header.objective, max_cost_usd=policy.objective.max_cost_usd),
            rounds=replace(policy.rounds, interval_s=max(1, round(header.round_interval_s))),
        )
        self.rng = rng
        self.targets = {name: Target(name, MODEL) for name in header.providers}
        providers = {name: ProviderConfig(priority=place) for place, name in enumerate(header.providers, start=1)}
        self.config = runtime_config.initial(0, providers)
        self.card = Scorecard.empty()
        self.breakers: dict[Target, Breaker] = {}
        self.quotas = Quotas({}, policy.breaker.retry_after_cap_s)
        self.state = OptimizerState.empty()

    def offer(self, providers: Sequence[str]) -> None:
        self.targets = {name: Target(name, MODEL) for name in providers}

    def choose(self, at_s: float) -> str:
        now = at(at_s)
        plan = router.plan(self.config, tuple(self.targets.values()), self.card, self.breakers, self.policy, now)
        drawn = router.route(plan, self.rng, now)
        self.quotas.wanted(drawn.order[0])
        route = router.within(plan, drawn, self.quotas.used_up(drawn.order, at_s))
        self.quotas.spend(route.order[0], at_s)
        return route.order[0].provider

    def learn(self, at_s: float, provider: str, sample: Sample) -> None:
        target, now = self.targets[provider], at(at_s)
        left = () if (told := sample.quota) is None else (Reading(REQUESTS, told.remaining, told.limit, told.reset_s),)
        if sample.limited:
            self.quotas.limited(target, at_s, at_s, sample.retry_after_s, left)
            return
        self.quotas.served(target, at_s, at_s, left)
        self.card = self.card.observe([_outcome(target, sample, Source.LIVE, now)], self.policy)
        if sample.ok and self.policy.objective.max_cost_usd is not None:
            payment = self.card.payment(now, TaskType.DEFAULT, sample.cost_usd, target, self.policy)
            self.card = self.card.paid([payment], self.policy)
        self.breakers[target] = self.breakers.get(target, Breaker()).after(
            sample.ok,
            error_class=_error_class(sample),
            needs_person=False,
            retry_after_s=sample.retry_after_s,
            now=now,
            policy=self.policy.breaker,
        )

    def close_round(self, round_: Round) -> None:
        outcomes = self._outcomes(round_)
        before = self.card
        if own_trouble(outcomes) is None:
            self.card = before.close_round(outcomes, self.policy)
        routing = self.config.global_
        result = optimizer.optimize(
            self.state, before, self.card, outcomes, routing.provider_weights, routing.exploration_rate, self.policy,
            complete=True, now=at(round_.at_s),
        )  # fmt: skip
        self.state = result.state
        update = {"provider_weights": result.weights, "exploration_rate": result.exploration_rate}
        self.config = self.config.model_copy(update={"global_": routing.model_copy(update=update)})

    def _outcomes(self, round_: Round) -> list[Outcome]:
        now = at(round_.at_s)
        return [
            replace(_outcome(self.targets[name], sample, Source.BENCHMARK, now), prompt_id=str(place))
            for name, samples in round_.table.items()
            for place, sample in enumerate(samples)
        ]


class Static(Served):
    """The same evidence and the default weights for ever: no gate, no breaker, no exploration."""

    def __init__(self, header: Header, policy: Policy, rng: random.Random) -> None:
        # without a breaker that keeps traffic away, every failure counts
        super().__init__(header, replace(policy, breaker=replace(policy.breaker, failures=sys.maxsize)), rng)

    def choose(self, at_s: float) -> str:
        if not self.card.evidence:
            return next(iter(self.targets))
        known = scoring.figures(self.card.evidence, self.policy.objective)
        weights = scoring.effective(self.config.global_.provider_weights, self.policy)
        return max(known, key=lambda target: scoring.score(weights, scoring.features(known[target]))).provider

    def learn(self, at_s: float, provider: str, sample: Sample) -> None:
        super().learn(at_s, provider, _as_failure(sample))

    def close_round(self, round_: Round) -> None:
        self.card = self.card.close_round(self._outcomes(round_), self.policy)


class UtilityGreedy(Served):
    """The same evidence, gate and breakers, but whoever is worth most by the objective: no weights, no exploration."""

    def __init__(self, header: Header, policy: Policy, rng: random.Random) -> None:
        super().__init__(header, policy, rng)
        routing = self.config.global_.model_copy(update={"exploration_rate": 0.0})
        self.config = self.config.model_copy(update={"global_": routing})

    def choose(self, at_s: float) -> str:
        now = at(at_s)
        plan = router.plan(self.config, tuple(self.targets.values()), self.card, self.breakers, self.policy, now)
        worth = {each.target.provider: each.utility for each in plan.candidates if each.eligible}
        known = {name: utility for name, utility in worth.items() if utility is not None}
        return max(known, key=known.__getitem__) if known else plan.candidates[0].target.provider

    def learn(self, at_s: float, provider: str, sample: Sample) -> None:
        super().learn(at_s, provider, _as_failure(sample))

    def close_round(self, round_: Round) -> None:
        self.card = self.card.close_round(self._outcomes(round_), self.policy)


def _outcome(target: Target, sample: Sample, source: Source, at: datetime) -> Outcome:
    graded = source is Source.BENCHMARK and sample.ok
    return Outcome(
        target=target,
        source=source,
        at=at,
        success=sample.ok,
        latency_ms=sample.latency_ms,
        completion_tokens=round(sample.tokens) if sample.ok else None,
        cost_usd=sample.cost_usd,
        quality=sample.quality if graded else None,
        error_class=_error_class(sample),
    )


def _as_failure(sample: Sample) -> Sample:
    """A 429 to those that know of no quotas: but for its delay a failure like any other."""
    return sample._replace(limited=False, quota=None)


def _error_class(sample: Sample) -> str | None:
    if sample.ok:
        return None
    return RateLimited.code if sample.limited else ServerError.code


def at(at_s: float) -> datetime:
    return EPOCH + timedelta(seconds=at_s)


def _bandit(kind: type[bandits.Bandit]) -> Callable[[Header, Policy, random.Random], Chooser]:
    return lambda header, policy, rng: kind(header.providers, header.objective, rng)


POLICIES: Mapping[str, Callable[[Header, Policy, random.Random], Chooser]] = {
    "tooloo": Served,
    "static": Static,
    "utility-greedy": UtilityGreedy,
    "random": _bandit(bandits.Bandit),
    "epsilon-greedy": _bandit(bandits.EpsilonGreedy),
    "ucb1": _bandit(bandits.Ucb1),
    "thompson": _bandit(bandits.Thompson),
}

"""Baselines for `tooloo replay`: what a router could do instead. Each sees what a live system would see.

The textbook bandits maximise the part of the objective that live traffic shows, r = success − latency − cost, in the
terms of U; none of them can see quality.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from app.domain.policy import Objective
from app.domain.replay.trace import Round, Sample


class Bandit:
    """Chooses at random; the base of those that learn."""

    def __init__(self, providers: Sequence[str], objective: Objective, rng: random.Random) -> None:
        self.providers = providers
        self.objective = objective
        self.rng = rng

    def offer(self, providers: Sequence[str]) -> None:
        """These are the providers from now on."""
        self.providers = providers

    def choose(self, at_s: float) -> str:
        return self.rng.choice(self.providers)

    def learn(self, at_s: float, provider: str, sample: Sample) -> None:
        """The outcome of a request that went to `provider`; its quality is not to be looked at."""

    def close_round(self, round_: Round) -> None:
        """The table of a benchmark round."""

    def reward(self, sample: Sample) -> float:
        return (
            float(sample.ok)
            - self.objective.latency * min(1.0, sample.latency_ms / self.objective.latency_ref_ms)
            - self.objective.cost * min(1.0, sample.cost_usd / self.objective.cost_ref_usd)
        )


class Fixed(Bandit):
    """Always the same provider."""

    def __init__(self, provider: str) -> None:
        self.provider = provider

    def choose(self, at_s: float) -> str:
        return self.provider


class EpsilonGreedy(Bandit):
    """The best mean so far, live only; ε = .1 at random."""

    epsilon = 0.1

    def __init__(self, providers: Sequence[str], objective: Objective, rng: random.Random) -> None:
        super().__init__(providers, objective, rng)
        self.count = dict.fromkeys(providers, 0)
        self.mean = dict.fromkeys(providers, 0.0)

    def offer(self, providers: Sequence[str]) -> None:
        super().offer(providers)
        self.count = {name: self.count.get(name, 0) for name in providers}
        self.mean = {name: self.mean.get(name, 0.0) for name in providers}

    def choose(self, at_s: float) -> str:
        untried = [name for name in self.providers if not self.count[name]]
        if untried:
            return untried[0]
        if self.rng.random() < self.epsilon:
            return self.rng.choice(self.providers)
        return max(self.providers, key=self.mean.__getitem__)

    def learn(self, at_s: float, provider: str, sample: Sample) -> None:
        self.count[provider] += 1
        self.mean[provider] += (self.reward(sample) - self.mean[provider]) / self.count[provider]


class Ucb1(EpsilonGreedy):
    """UCB1 (Auer, Cesa-Bianchi, Fischer 2002), live only, rewards scaled to 0..1."""

    #: the textbook's 1 is for rewards that fill 0..1; these spread over a quarter of it, and .25 does far better
    width = 0.25

    def choose(self, at_s: float) -> str:
        untried = [name for name in self.providers if not self.count[name]]
        if untried:
            return untried[0]
        log_total = math.log(sum(self.count.values()))
        return max(
            self.providers,
            key=lambda name: self.mean[name] + self.width * math.sqrt(2 * log_total / self.count[name]),
        )

    def reward(self, sample: Sample) -> float:
        loss = self.objective.latency + self.objective.cost
        return (super().reward(sample) + loss) / (1 + loss)


class Thompson(Bandit):
    """Discounted Gaussian Thompson sampling, on live traffic and on rounds; their quality counts where it is seen."""

    discount = 0.99
    #: of one reward, before there are enough to tell
    prior_deviation = 0.25

    def __init__(self, providers: Sequence[str], objective: Objective, rng: random.Random) -> None:
        super().__init__(providers, objective, rng)
        #: mass, sum and sum of squares of the rewards
        self.seen = dict.fromkeys(providers, (0.0, 0.0, 0.0))

    def offer(self, providers: Sequence[str]) -> None:
        super().offer(providers)
        self.seen = {name: self.seen.get(name, (0.0, 0.0, 0.0)) for name in providers}

    def choose(self, at_s: float) -> str:
        return max(self.providers, key=self._drawn)

    def _drawn(self, name: str) -> float:
        mass, total, squares = self.seen[name]
        mean = total / mass if mass else 0.0
        variance = (self.prior_deviation**2 + max(0.0, squares - mass * mean * mean)) / (mass + 1)
        return self.rng.gauss(mean, math.sqrt(variance / max(mass, 0.1)))

    def learn(self, at_s: float, provider: str, sample: Sample) -> None:
        for name, (mass, total, squares) in self.seen.items():
            self.seen[name] = (mass * self.discount, total * self.discount, squares * self.discount)
        self._add(provider, self.reward(sample))

    def close_round(self, round_: Round) -> None:
        for name, samples in round_.table.items():
            for sample in samples:
                self._add(name, self.reward(sample) - sample.ok * (1.0 - sample.quality))

    def _add(self, name: str, reward: float) -> None:
        mass, total, squares = self.seen[name]
        self.seen[name] = (mass + 1, total + reward, squares + reward * reward)

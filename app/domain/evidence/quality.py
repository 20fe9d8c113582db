"""What graded answers say of a target's quality: pooled by prompt, and forgotten where a round contradicts them.

The same few prompts come round after round. Their repeats tell how much answers vary, and nothing about other prompts:

    Q  = Σ w·g / Σ w                          g: a prompt's mean grade, w = min(1, its mass)
    V  = (Σ w·(g − Q)² + PRIOR_VARIANCE) / n,   n = (Σ w)² / Σ w²: prompts, not grades
    se = √(V / n)

A change is looked for in the differences from the same prompts' means, which are much smaller than those between
prompts: of all of them together (a level shift replaces everything), and of single prompts, whose last two grades agree
against all before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from app.domain.policy import EvidencePolicy

#: variance below which grades are taken to agree by chance (standard deviation .05)
LEAST_VARIANCE = 0.0025
#: between prompts, worth one of them: that two agree does not make a quality exact (standard deviation .2)
PRIOR_VARIANCE = 0.04
#: prompts that a level shift is found on, at the least
LEAST_PAIRS = 4
#: differences that the noise of grades is known from, at most
NOISE_MASS_CAP = 50.0
#: a prompt of less mass is forgotten: one that was asked in every round, seventeen rounds ago
LEAST_MASS = 0.1


@dataclass(frozen=True, slots=True)
class PromptGrades:
    """One prompt's; the latest is held apart until another agrees with it. Masses are 1 per round asked, and fade."""

    last: float
    last_mass: float = 1.0
    #: of all before
    mean: float = 0.0
    mass: float = 0.0

    @property
    def total(self) -> float:
        return self.mass + self.last_mass

    @property
    def grade(self) -> float:
        return (self.mean * self.mass + self.last * self.last_mass) / self.total

    def faded(self, decay: float) -> PromptGrades:
        return replace(self, last_mass=self.last_mass * decay, mass=self.mass * decay)

    def moved_by(self, step: float) -> PromptGrades:
        """As it is likely to be now; worth one grade at the most."""
        grade = min(1.0, max(0.0, self.grade + step))
        return PromptGrades(grade, self.last_mass, grade, min(self.mass, 1 - self.last_mass))

    def asked(self, grade: float) -> PromptGrades:
        return PromptGrades(grade, 1.0, self.grade, self.total)


@dataclass(frozen=True, slots=True)
class Draws:
    """Grades of prompts that have no name: each one is a draw of its own."""

    mean: float = 0.0
    #: of one grade, not of the mean
    variance: float = 0.0
    mass: float = 0.0

    def pooled(self, grades: Sequence[float], policy: EvidencePolicy) -> Draws:
        """With a round's, or these alone where they differ beyond chance."""
        if not grades:
            return self
        count, mean = len(grades), sum(grades) / len(grades)
        new = Draws(mean, sum((grade - mean) ** 2 for grade in grades) / count, float(count))
        if self.mass <= 0 or self._is_contradicted(new, policy.quality_reset_sigma):
            return new
        total, step = self.mass + count, mean - self.mean
        return Draws(
            self.mean + step * count / total,
            (self.mass * self.variance + count * new.variance) / total + self.mass * count * (step / total) ** 2,
            min(total, policy.quality_mass_cap),
        )

    def _is_contradicted(self, new: Draws, sigma: float) -> bool:
        each = max(self.variance, new.variance, LEAST_VARIANCE)
        return abs(new.mean - self.mean) > sigma * math.sqrt(each / new.mass + each / self.mass)


class Quality(NamedTuple):
    """√(variance / prompts) is the standard error, clustered by prompt."""

    mean: float
    variance: float
    prompts: float


class Change(NamedTuple):
    """A prompt's grade against what was known of it; `error`: variance of that, in units of one grade's."""

    difference: float
    error: float


@dataclass(frozen=True, slots=True)
class Grades:
    """All of one target's."""

    prompts: Mapping[str, PromptGrades] = field(default_factory=dict)
    #: variance of one prompt's grades about their mean, and the differences it is known from
    noise: float = 0.0
    noise_mass: float = 0.0
    unnamed: Draws = Draws()

    @property
    def quality(self) -> Quality | None:
        known = [(min(1.0, each.total), each.grade) for each in self.prompts.values()]
        draws = self.unnamed
        weight = sum(share for share, _ in known) + draws.mass
        if weight <= 0:
            return None
        mean = (sum(share * grade for share, grade in known) + draws.mass * draws.mean) / weight
        squares = sum(share * (grade - mean) ** 2 for share, grade in known)
        squares += draws.mass * (draws.variance + (draws.mean - mean) ** 2)
        count = weight * weight / (sum(share * share for share, _ in known) + draws.mass)
        return Quality(mean, squares / weight + PRIOR_VARIANCE / count, count)

    def usual(self, named: Mapping[str, float], unnamed: Sequence[float]) -> float:
        """What all prompts would have been graded on average in a round of which these are some grades."""
        known, grades = self.quality, list(named.values()) or unnamed
        if known is None or not named:
            return sum(grades) / len(grades)
        return known.mean + sum(grade - self.prompts[name].grade for name, grade in named.items()) / len(named)

    def after(self, named: Mapping[str, float], unnamed: Sequence[float], policy: EvidencePolicy) -> Grades:
        """A round's grades, of each prompt the mean, over what is left of the older ones."""
        old = self._faded(policy, len(named))
        known = {name: old.prompts[name] for name in named if name in old.prompts}
        since = old._level_shift(named, known, policy)
        prompts, noise = old._moved(named, known, policy) if since is None else old._shifted(named, known, since)
        draws = old.unnamed if since is None else Draws()
        return Grades(
            _bounded({**old.prompts, **prompts}, policy.quality_prompts),
            *old._noise_with(noise),
            draws.pooled(unnamed, policy),
        )

    def _faded(self, policy: EvidencePolicy, asked: int) -> Grades:
        """As a round begins to count; what no prompt is known of is worth no more prompts than the round has."""
        decay, draws = policy.quality_round_decay, self.unnamed
        mass = draws.mass if not asked else min(draws.mass, float(asked))
        return replace(
            self,
            prompts={name: each.faded(decay) for name, each in self.prompts.items()},
            noise_mass=self.noise_mass * decay,
            unnamed=replace(draws, mass=mass * decay),
        )

    def _level_shift(
        self, named: Mapping[str, float], known: Mapping[str, PromptGrades], policy: EvidencePolicy
    ) -> int | None:
        """Rounds, one or two, that differ from all before beyond chance; None: they do not."""
        one = [Change(named[name] - each.grade, 1 + 1 / each.total) for name, each in known.items()]
        if self._is_shift(one, policy.quality_reset_sigma):
            return 1
        two = [
            Change((named[name] + each.last) / 2 - each.mean, 1 / 2 + 1 / each.mass)
            for name, each in known.items()
            if each.mass > LEAST_MASS
        ]
        return 2 if self._is_shift(two, policy.quality_reset_sigma) else None

    def _is_shift(self, changes: Sequence[Change], sigma: float) -> bool:
        """Do they differ from 0 on the whole, and not by one prompt alone?"""
        if len(changes) < LEAST_PAIRS or not self._differ(changes, sigma):
            return False
        up = sum(each.difference for each in changes) > 0
        most = max(changes, key=lambda each: each.difference if up else -each.difference)
        return self._differ([each for each in changes if each is not most], sigma)

    def _differ(self, changes: Sequence[Change], sigma: float) -> bool:
        count = len(changes)
        mean = sum(each.difference for each in changes) / count
        squares = sum((each.difference - mean) ** 2 / each.error for each in changes)
        freedom = self.noise_mass + count - 1
        variance = max(LEAST_VARIANCE, (self.noise * self.noise_mass + squares) / freedom)
        error = math.sqrt(variance * sum(each.error for each in changes)) / count
        return abs(mean) > student(sigma, freedom) * error

    def _shifted(
        self, named: Mapping[str, float], known: Mapping[str, PromptGrades], since: int
    ) -> tuple[dict[str, PromptGrades], list[float]]:
        """Everything anew from the last `since` rounds; prompts that were not asked are moved by the same step."""
        steps = {name: named[name] - each.grade for name, each in known.items()}
        step = sum(steps.values()) / len(steps)
        others = {name: each.moved_by(step) for name, each in self.prompts.items() if name not in named}
        asked = {
            name: PromptGrades(grade, 1.0, known[name].last, known[name].last_mass)
            if since > 1 and name in known
            else PromptGrades(grade)
            for name, grade in named.items()
        }
        noise = [(steps[name] - step) ** 2 / (1 + 1 / each.total) for name, each in known.items()]
        return {**others, **asked}, noise

    def _moved(
        self, named: Mapping[str, float], known: Mapping[str, PromptGrades], policy: EvidencePolicy
    ) -> tuple[dict[str, PromptGrades], list[float]]:
        prompts: dict[str, PromptGrades] = {}
        noise: list[float] = []
        for name, grade in named.items():
            each = known.get(name)
            if each is None:
                prompts[name] = PromptGrades(grade)
            elif self._is_another(each, grade, policy.quality_reset_sigma):
                prompts[name] = PromptGrades(grade, 1.0, each.last, each.last_mass)
            else:
                prompts[name] = each.asked(grade)
                noise.append((grade - each.grade) ** 2 / (1 + 1 / each.total))
        return prompts, noise

    def _is_another(self, known: PromptGrades, grade: float, sigma: float) -> bool:
        """Are this grade and the last one both beyond chance on the same side of all before?"""
        if known.mass < 1:
            return False
        error = math.sqrt(max(self.noise, LEAST_VARIANCE) * (1 + 1 / known.mass))
        limit = student(sigma, max(1.0, self.noise_mass)) * error
        nearer = min(known.last - known.mean, grade - known.mean, key=abs)
        return abs(nearer) > limit and (known.last > known.mean) == (grade > known.mean)

    def _noise_with(self, squares: Sequence[float]) -> tuple[float, float]:
        mass = self.noise_mass + len(squares)
        if mass <= 0:
            return 0.0, 0.0
        return (self.noise * self.noise_mass + sum(squares)) / mass, min(mass, NOISE_MASS_CAP)


def student(sigma: float, freedom: float) -> float:
    """What Student's t exceeds as rarely as a normal deviate exceeds `sigma` (Cornish–Fisher, three terms)."""
    first = (sigma**3 + sigma) / 4
    second = (5 * sigma**5 + 16 * sigma**3 + 3 * sigma) / 96
    return sigma + first / freedom + second / freedom**2


def by_prompt(graded: Sequence[tuple[str | None, float]]) -> tuple[dict[str, float], list[float]]:
    """Mean grade of each prompt, and the grades of those that have no name."""
    named: dict[str, list[float]] = {}
    for name, grade in graded:
        if name is not None:
            named.setdefault(name, []).append(grade)
    means = {name: sum(grades) / len(grades) for name, grades in named.items()}
    return means, [grade for name, grade in graded if name is None]


def _bounded(prompts: Mapping[str, PromptGrades], limit: int) -> dict[str, PromptGrades]:
    """Those that are worth something, and of too many those that were asked last."""
    kept = {name: each for name, each in prompts.items() if each.total >= LEAST_MASS}
    if len(kept) <= limit:
        return kept
    latest = sorted(kept, key=lambda name: (-kept[name].last_mass, name))
    return {name: kept[name] for name in latest[:limit]}

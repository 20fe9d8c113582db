"""What routing gave beside other ways to choose: always one target, the cheapest, the best in hindsight, one at random.

Estimator, for always target k and a measure Y (ms, USD, success, utility) over n requests whose first place was drawn:

    V_k = Σ_i m_k(b_i) / n + Σ_{A_i = k} (Y_i − m_k(b_i)) / p_i  /  Σ_{A_i = k} 1 / p_i

the self-normalised doubly robust estimate (Robins, Rotnitzky, Zhao 1994; Dudík, Langford, Li 2011; weighted: Thomas
and Brunskill 2016), with p_i the recorded probability of the first place, and as its model m_k(b) what rounds
measured of k in the block of time b. The rounds carry what changes over time, and the weighted live calls what live
traffic differs from the rounds by. It is right where either holds for k. Of a target that too few drawn calls went to
(LEAST_CALLS of effective sample size, (Σ 1/p)² / Σ 1/p²; Kish 1965) rounds alone speak: both sides on their prompts,

    V_k = V_routing − Σ_i (m_{A_i}(b_i) − m_k(b_i)) / n.

Intervals: 95 % by Student, with the jackknife over blocks of time (rounds and requests of a block leave together) by
the differences between neighbours, and, as far as rounds speak, the error between prompts, which repeats of the same
prompts do not make smaller; where rounds alone speak, the larger of the two. Of the best target in hindsight the
interval holds for all targets together (Bonferroni). Quantiles: by Woodruff (1952), the interval of the share below
turned round. No live answer is graded: quality is the rounds'. First attempts alone.

All of it are sums, and so a row per block and target suffices: m_k(b) is the same for all calls of a block, hence
Σ (Y − m)/p = Σ Y/p − m·Σ 1/p. It takes n, Σ 1/p, Σ 1/p², Σ Y, Σ Y/p and the latencies' histogram by calls and by 1/p.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from app.domain.policy import Objective
from app.domain.replay.baseline_models import Models, of_sums
from app.domain.replay.baseline_quantiles import (
    Quantile,
    Weights,
    between,
    error_over_time,
    freedom_over_time,
    latencies_of,
    quantile,
    reach_of,
)
from app.domain.replay.baseline_types import (
    LEAST_BLOCKS,
    LEAST_CALLS,
    LEAST_OUTSIDE,
    MEASURES,
    NOTHING,
    Baseline,
    Comparison,
    Estimate,
    LiveCell,
    RoundCell,
    Sums,
)


def compare(
    live: Sequence[LiveCell], rounds: Sequence[RoundCell], first: str | None, objective: Objective
) -> Comparison:
    """`first`: the target that the configuration's order puts first."""
    found = _Estimates(live, rounds, objective)
    if not found.calls or not found.targets:
        return Comparison(found.calls, len(found.blocks), dict.fromkeys(MEASURES), ())
    values = found.values(found.routing)
    known = found.targets
    cheapest = min(known, key=lambda target: found.model(target, "costUsd"))
    best = max(known, key=lambda target: found.value(found.only(target), "utility") or -math.inf)
    made = [
        found.baseline("first", {first: 1.0}) if first in known and first is not None else None,
        found.baseline("cheapest", {cheapest: 1.0}),
        found.baseline("best", {best: 1.0}, among=len(known)),
        found.baseline("random", {target: 1 / len(known) for target in known}),
    ]
    return Comparison(found.calls, len(found.blocks), values, tuple(each for each in made if each is not None))


#: below which how often they come cannot be seen from how they are spread over the blocks
FEW_FAILURES = 5
#: what the digits of a sum leave of nothing
NEGLIGIBLE = 1e-12
#: a way to choose: target → share; routing itself is none of these
Shares = Mapping[str, float]
#: per block
Series = Mapping[int, float]


class _Estimates:
    """Sums by block, from which every value is made with or without one of the blocks."""

    def __init__(self, live: Sequence[LiveCell], rounds: Sequence[RoundCell], objective: Objective) -> None:
        self.objective, self.rounds = objective, rounds
        self.models = Models(rounds, objective)
        self.targets = sorted(self.models.targets)
        # what no round measured cannot be compared
        live = [cell for cell in live if cell.target in self.models.targets]
        self.live = live
        self.by_target: dict[str, list[LiveCell]] = {target: [] for target in self.targets}
        for cell in live:
            self.by_target[cell.target].append(cell)
        self.served = {target for target, cells in self.by_target.items() if cells}
        self.calls = sum(cell.calls for cell in live)
        self.blocks = sorted({cell.block for cell in live})
        self.at: dict[int, float] = defaultdict(float)
        self.of: dict[tuple[int, str], float] = defaultdict(float)
        for cell in live:
            self.at[cell.block] += cell.calls
            self.of[cell.block, cell.target] += cell.calls
        self.unpriced = {c.target for c in live if c.unpriced} | {c.target for c in rounds if c.unpriced}
        self.routing: Shares = {}
        self._prompts: dict[tuple[str, str], dict[str, float]] = {}
        self._supports: dict[str, tuple[float, float]] = {}
        self._values: dict[tuple[str | None, str], Callable[[int | None], float]] = {}
        self._quantiles: dict[tuple[tuple[tuple[str, float], ...], float, int], Quantile] = {}
        self._weights: dict[tuple[tuple[str, float], ...], Weights] = {}

    def only(self, target: str) -> Shares:
        return {target: 1.0}

    def model(self, target: str, measure: str) -> float:
        """By the rounds, over the requests' time."""
        return self._mean({b: n * self.models.at(target, b, measure) for b, n in self.at.items()}, None)

    def _mean(self, sums: Series, without: int | None) -> float:
        calls = self.calls - (self.at[without] if without is not None else 0.0)
        return (sum(sums.values()) - (sums.get(without, 0.0) if without is not None else 0.0)) / calls

    # ── one measure ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _served(self, measure: str) -> Series:
        """Σ Y of what was served, by block."""
        found: dict[int, float] = defaultdict(float)
        for cell in self.live:
            found[cell.block] += self._sum(cell, cell.plain, cell.calls, measure)
        return found

    def _sum(self, cell: LiveCell, sums: Sums, calls: float, measure: str) -> float:
        if measure == "quality":
            return calls * self.models.at(cell.target, cell.block, "quality")
        return of_sums(sums, measure, self.models.at(cell.target, cell.block, "quality"), self.objective)

    def _residuals(self, target: str | None, measure: str) -> tuple[Series, Series]:
        """Live less the rounds, by block: weighted sums and weights of one target's calls; None: of all, as served."""
        over: dict[int, float] = defaultdict(float)
        under: dict[int, float] = defaultdict(float)
        for cell in self.live if target is None else self.by_target[target]:
            sums, calls = (cell.plain, float(cell.calls)) if target is None else (cell.weighted, cell.weight)
            model = self.models.at(cell.target, cell.block, measure)
            over[cell.block] += self._sum(cell, sums, calls, measure) - calls * model
            under[cell.block] += calls
        return over, under

    def support(self, target: str) -> tuple[float, float]:
        """Effective calls, and the share of the requests they speak for."""
        if target not in self._supports:
            weight = sum(cell.weight for cell in self.by_target[target])
            weight2 = sum(cell.weight2 for cell in self.by_target[target])
            effective = weight**2 / weight2 if weight2 else 0.0
            self._supports[target] = effective, min(1.0, weight / self.calls)
        return self._supports[target]

    def speaks(self, target: str) -> bool:
        return self.support(target)[0] >= LEAST_CALLS

    def _estimator(self, target: str, measure: str) -> Callable[[int | None], float]:
        """V_k, without one of the blocks."""
        model = {b: n * self.models.at(target, b, measure) for b, n in self.at.items()}
        over, under = self._residuals(target if self.speaks(target) else None, measure)
        all_over, all_under = sum(over.values()), sum(under.values())

        def value(without: int | None) -> float:
            weight = all_under - (under.get(without, 0.0) if without is not None else 0.0)
            rest = all_over - (over.get(without, 0.0) if without is not None else 0.0)
            return self._mean(model, without) + (rest / weight if weight > NEGLIGIBLE else 0.0)

        return value

    def _value_of(self, target: str | None, measure: str) -> Callable[[int | None], float]:
        """Of always this target; None: of routing."""
        key = (target, measure)
        if key not in self._values:
            if target is None:
                served = self._served(measure)
                self._values[key] = lambda without: self._mean(served, without)
            else:
                self._values[key] = cache(self._estimator(target, measure))
        return self._values[key]

    def _estimators(self, shares: Shares, measure: str) -> Callable[[int | None], float]:
        if not shares:
            return self._value_of(None, measure)
        parts = [(share, self._value_of(target, measure)) for target, share in shares.items()]
        return lambda without: sum(share * value(without) for share, value in parts)

    def _known(self, shares: Shares, measure: str) -> bool:
        named = set(shares) or self.served
        if measure == "costUsd":
            return not named & self.unpriced
        return measure not in {"p50Ms", "p95Ms"}

    def value(self, shares: Shares, measure: str) -> float | None:
        if measure in QUANTILES:
            found = self.quantile(shares, QUANTILES[measure])
            return None if found is None else found.value
        return self._estimators(shares, measure)(None) if self._known(shares, measure) else None

    def values(self, shares: Shares) -> dict[str, float | None]:
        return {measure: self.value(shares, measure) for measure in MEASURES}

    # ── how sure it is ───────────────────────────────────────────────────────────────────────────────────────────────

    def baseline(self, name: str, shares: Shares, among: int = 1) -> Baseline:
        support = {target: self.support(target) for target in shares}
        return Baseline(
            name=name,
            target=next(iter(shares)) if len(shares) == 1 else None,
            source="live" if all(self.speaks(target) for target in shares) else "rounds",
            effective_calls=min(calls for calls, _ in support.values()),
            coverage=min(share for _, share in support.values()),
            values=self.values(shares),
            differences={measure: self.difference(shares, measure, among) for measure in MEASURES},
        )

    def difference(self, shares: Shares, measure: str, among: int = 1) -> Estimate:
        """Routing less this."""
        if measure in QUANTILES:
            both = [self.quantile(each, QUANTILES[measure], among) for each in ({}, shares)]
            return NOTHING if both[0] is None or both[1] is None else between(both[0], both[1])
        if not (self._known({}, measure) and self._known(shares, measure)) or len(self.blocks) < LEAST_BLOCKS:
            return NOTHING
        mine, its = self._estimators({}, measure), self._estimators(shares, measure)
        value = mine(None) - its(None)
        value = 0.0 if abs(value) < NEGLIGIBLE else value
        error, freedom = self._error(shares, measure, [mine(block) - its(block) for block in self.blocks])
        reach = reach_of(freedom, among) * error
        return Estimate(value, value - reach, value + reach)

    def _error(self, shares: Shares, measure: str, without: Sequence[float]) -> tuple[float, int]:
        """Standard error and degrees of freedom.

        Where rounds alone speak, blocks and prompts show the same probes: the larger error has the other in it.
        """
        blocks = max(error_over_time(without), self._least_error(shares, measure))
        prompts, among_prompts = self._prompt_errors(shares, measure)
        by_rounds = measure == "quality" or not all(self.speaks(target) for target in shares)
        freedom = min(self._freedom(target) for target in shares)
        if not prompts or (by_rounds and blocks >= prompts):
            return blocks, freedom
        return prompts if by_rounds else math.hypot(blocks, prompts), min(freedom, among_prompts)

    def _freedom(self, target: str) -> int:
        live = {cell.block: cell.weight for cell in self.by_target[target]} if self.speaks(target) else self.at
        return freedom_over_time(list(live.values()))

    def _least_error(self, shares: Shares, measure: str) -> float:
        """Of few calls, none of which failed, not even a failure is impossible: one more of each kind (Laplace)."""
        if measure not in {"success", "costUsd"}:
            return 0.0
        square = 0.0
        for target, share in shares.items():
            calls = self.support(target)[0] if self.speaks(target) else 0.0
            success = self.value(self.only(target), "success") or 0.0
            if calls * (1 - success) < FEW_FAILURES and calls:
                rate = (calls * success + 1) / (calls + 2)
                each = (self.value(self.only(target), "costUsd") or 0.0) / rate if measure == "costUsd" else 1.0
                square += share**2 * each**2 * max(0.0, rate * (1 - rate)) / (calls + 2)
        return math.sqrt(square)

    def _prompt_errors(self, shares: Shares, measure: str) -> tuple[float, int]:
        """Standard error and degrees of freedom, by the differences between prompts of what rounds alone can tell."""
        totals: dict[str, float] = defaultdict(float)
        for target, share in shares.items():
            covered = self.support(target)[1] if self.speaks(target) and measure != "quality" else 0.0
            told = (
                [(1.0 - covered, measure), (covered, "quality")] if measure == "utility" else [(1 - covered, measure)]
            )
            for part, of in told:
                if part:
                    for prompt, value in self._by_prompt(target, of).items():
                        totals[prompt] += share * part * value
        if len(totals) < 2:
            return 0.0, 1
        mean = sum(totals.values()) / len(totals)
        variance = sum((each - mean) ** 2 for each in totals.values()) / (len(totals) - 1)
        return math.sqrt(variance / len(totals)), len(totals) - 1

    def _by_prompt(self, target: str, measure: str) -> dict[str, float]:
        key = (target, measure)
        if key not in self._prompts:
            self._prompts[key] = self.models.by_prompt(target, measure, self.of, self.calls)
        return self._prompts[key]

    # ── quantiles ────────────────────────────────────────────────────────────────────────────────────────────────────

    def quantile(self, shares: Shares, at: float, among: int = 1) -> Quantile | None:
        """Of what was served, or of targets of which enough live calls lie on both sides of it."""
        outside = min(at, 1 - at)
        few = any(not self.speaks(t) or self.support(t)[0] * outside < LEAST_OUTSIDE for t in shares)
        if len(self.blocks) < LEAST_BLOCKS or few:
            return None
        key = tuple(sorted(shares.items()))
        if key not in self._weights:
            self._weights[key] = latencies_of(self.live, shares)
        if (key, at, among) not in self._quantiles:
            self._quantiles[key, at, among] = quantile(self._weights[key], at, among)
        return self._quantiles[key, at, among]


QUANTILES: Mapping[str, float] = {"p50Ms": 0.5, "p95Ms": 0.95}

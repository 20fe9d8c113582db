"""A ceiling in money: the most utility that an average of so much per request can buy, and the loop that holds it.

    max  Σ_k p_k Σ_i x_ki · U_ki    where  Σ_k p_k Σ_i x_ki · C_ki ≤ a,   Σ_i x_ki = 1

k: task types, p their shares of the traffic; U, C: utility and mean cost of target i there; x: shares of the requests;
a: the allowance. Its dual price λ is what money is worth, in utility per USD: a request goes to the target with the
largest U − λ·C. Those are corners of the concave hull of (C, U); where a lies between two of them, one task type is
divided between the two, by chance. (A fractional multiple-choice knapsack, solved exactly by the slopes of the hulls:
Sinha and Zoltners 1979.)

The loop. Estimates of C are wrong, so a is not the ceiling c, but what is left of it:

    a = c + (credit − reserve) / horizon,      credit = Σ (c − what a request cost)

Who spent too little may spend more over the next `horizon` requests, who spent too much pays it back, and a reserve of
a few of the dearest calls, and of what chance does to sums, stands between the average and c, which it comes to from
below. It is budget pacing: λ moves against the gap between spending and target, as in Balseiro and Gur 2019 ("Learning
in repeated auctions with budgets", adaptive pacing) and Balseiro, Lu and Mirrokni 2023 ("The best of many worlds: dual
mirror descent for online allocation"). But it does not move in steps: it is solved anew from the evidence and what is
left (re-solving, Jasin and Kumar 2012), so that it has no state of its own, and every process that knows what was spent
comes to the same.

A target that costs a multiple of c (`lump`) is called only while the credit covers a few such calls: one of them is a
day's money where requests are few. Of a day's money `carry_share` is saved up, and no more: later it would be spent at
once. What requests of a task type cost, in terms of the prompts that targets are known by, is told by what was paid.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from app.domain.catalog import Target, TaskType
from app.domain.evidence.spending import Hour, Paid, Spending
from app.domain.insight import Insight
from app.domain.policy import CeilingPolicy, Objective

K = TypeVar("K", bound=Hashable)
T = TypeVar("T", bound=Hashable)


class Offer(NamedTuple):
    """What one target gives for a request, and what it takes for it."""

    value: float
    cost_usd: float


#: shares of requests, by target; they sum to 1
Mix = Mapping[T, float]


@dataclass(frozen=True, slots=True)
class Menu:
    """What may be chosen for the requests of one task type."""

    offers: Mapping[Target, Offer]
    #: who has first place where there is no ceiling; they share it
    usual: tuple[Target, ...]

    def scaled(self, factor: float) -> Menu:
        """Where everything costs so many times as much."""
        offers = {target: Offer(offer.value, offer.cost_usd * factor) for target, offer in self.offers.items()}
        return replace(self, offers=offers)

    @property
    def usual_usd(self) -> float:
        return sum(self.offers[target].cost_usd for target in self.usual) / len(self.usual)


@dataclass(frozen=True, slots=True)
class Pacing:
    """How the ceiling stands, and what it does to requests of one task type."""

    ceiling_usd: float
    #: of the last day
    requests: int
    spent_usd: float
    #: what a request may cost now, on average
    allowance_usd: float
    #: λ: utility per USD
    price: float = 0.0
    #: empty: the ceiling is slack, and changes nothing
    mix: tuple[tuple[Target, float], ...] = ()
    #: False: even the cheapest targets cost more
    can_be_held: bool = True

    @property
    def binds(self) -> bool:
        return bool(self.mix)

    def beside(self, share: float, cost_usd: float, costs: Mapping[Target, float]) -> Pacing:
        """Where a share of the requests explores at such a cost, the dearer of two targets gives way to it."""
        if share <= 0 or len(self.mix) < 2:
            return self
        (low, _), (high, dearer) = sorted(self.mix, key=lambda each: costs[each[0]])
        step = costs[high] - costs[low]
        meant = costs[low] + dearer * step
        left = ((meant - share * cost_usd) / (1 - share) - costs[low]) / step
        left = min(1.0, max(0.0, left))
        return replace(self, mix=((low, 1 - left), (high, left)))

    def draw(self, chance: float) -> tuple[Target, float]:
        """Who is first for a request, and how likely that was; `chance`: evenly from 0 to 1."""
        for target, share in self.mix:
            if chance < share:
                return target, share
            chance -= share
        return self.mix[-1]

    def priced(self, objective: Objective) -> Objective:
        """The objective, with what money is worth under the ceiling."""
        return replace(objective, cost=objective.cost + self.price * objective.cost_ref_usd)

    def to_json(self) -> dict[str, Any]:
        return {
            "maxCostUsd": self.ceiling_usd,
            "requests": self.requests,
            "meanCostUsd": self.spent_usd / self.requests if self.requests else None,
            "allowanceUsd": self.allowance_usd,
            "lambdaPerUsd": round(self.price, 4),
            "binds": self.binds,
            "canBeHeld": self.can_be_held,
            "shares": {str(target): round(share, 4) for target, share in self.mix},
        }

    @property
    def reason(self) -> str:
        """Of a first place that the ceiling decides."""
        if not self.can_be_held:
            return f"cheapest: even that costs more than the ceiling of {self.ceiling_usd:g} USD"
        return f"best within the ceiling of {self.ceiling_usd:g} USD per request"


def insight(pacing: Pacing | None) -> Insight | None:
    """What a person should know of a ceiling that cannot be held; None: it can."""
    if pacing is None or pacing.can_be_held:
        return None
    why = "even the cheapest targets cost more" if pacing.binds else "no price of any target is known"
    text = f"the ceiling of {pacing.ceiling_usd:g} USD per request cannot be held: {why}"
    return Insight("ceiling", text, pacing.to_json())


def pace(
    ceiling_usd: float,
    spending: Spending,
    task: TaskType,
    menus: Mapping[TaskType, Menu],
    now: datetime,
    policy: CeilingPolicy,
) -> Pacing:
    """What the ceiling does to requests of `task`; `menus`: of it, and of the task types that had requests lately."""
    hours = spending.of_the_day(now) if spending.ceiling_usd == ceiling_usd else ()
    requests, usd, usd2, _ = map(sum, zip(Paid(), *(each.all for each in hours), strict=True))
    shares = _shares(hours, task, menus)
    menus = {each: menu.scaled(_scale(hours, each, ceiling_usd, policy)) for each, menu in menus.items()}
    weighed = {each: (shares[each], menu.offers) for each, menu in menus.items()}
    # what would be bought with all of the ceiling says how dear a single call may be
    _, wanted = best_mix(weighed, ceiling_usd)
    excess = max(0.0, max(menus[k].offers[t].cost_usd for k, mix in wanted.items() for t in mix) - ceiling_usd)
    horizon = max(policy.horizon_calls, policy.horizon_share * requests)
    # what chance alone does to the sum of so many costs
    noise = math.sqrt(usd2 / max(1, requests) * horizon)
    reserve = max(policy.reserve_calls * excess, policy.reserve_noise * noise)
    most = max(2 * reserve, policy.carry_share * ceiling_usd * requests, policy.carry_noise * noise)
    credit = _credit(hours, ceiling_usd, most)
    allowance = _allowance(ceiling_usd, credit, reserve, horizon, policy)
    found = Pacing(ceiling_usd, requests, usd, allowance)
    usual = sum(shares[each] * menu.usual_usd for each, menu in menus.items())
    if usual <= (ceiling_usd if credit >= 0 else allowance):
        return found
    afforded = {
        each: (share, _afforded(offers, credit, ceiling_usd, policy)) for each, (share, offers) in weighed.items()
    }
    price, mixes = best_mix(afforded, allowance)
    cheapest = sum(share * min(offer.cost_usd for offer in offers.values()) for share, offers in weighed.values())
    return replace(found, price=price, mix=tuple(mixes[task].items()), can_be_held=cheapest <= ceiling_usd)


def _scale(hours: Sequence[Hour], task: TaskType, ceiling_usd: float, policy: CeilingPolicy) -> float:
    """What requests of a task type cost, in terms of what is known of their targets: they may be longer than probes."""
    paid = [each.by_task[task] for each in hours if task in each.by_task]
    few = policy.horizon_calls * ceiling_usd
    return (sum(each.usd for each in paid) + few) / (sum(each.expected_usd for each in paid) + few)


def _allowance(ceiling_usd: float, credit: float, reserve: float, horizon: float, policy: CeilingPolicy) -> float:
    """Debts are paid back as fast as the horizon says; the reserve is saved up slowly, as that costs utility."""
    if credit < 0:
        return max(0.0, ceiling_usd * (1 - policy.save_share) + credit / horizon)
    return max(ceiling_usd * (1 - policy.save_share), ceiling_usd + (credit - reserve) / horizon)


def _shares(hours: Sequence[Hour], task: TaskType, menus: Mapping[TaskType, Menu]) -> dict[TaskType, float]:
    """Of the task types in the traffic; one that had no request counts as if it had one."""
    counts = dict.fromkeys(menus, 0)
    for each in hours:
        for kind, paid in each.by_task.items():
            if kind in counts:
                counts[kind] += paid.requests
    counts[task] = max(1, counts[task])
    total = sum(counts.values())
    return {kind: count / total for kind, count in counts.items()}


def _credit(hours: Iterable[Hour], ceiling_usd: float, most: float) -> float:
    """USD left of what the requests of the day might have cost; what is beyond `most` at the end of an hour is gone."""
    credit = 0.0
    for each in hours:
        paid = each.all
        credit = min(most, credit + ceiling_usd * paid.requests - paid.usd)
    return credit


def _afforded(
    offers: Mapping[Target, Offer], credit: float, ceiling_usd: float, policy: CeilingPolicy
) -> Mapping[Target, Offer]:
    """Those of which one call can be paid; the cheapest always."""
    cheapest = min(offers, key=lambda target: offers[target].cost_usd)
    most = ceiling_usd + max(policy.lump * ceiling_usd, credit / policy.reserve_calls)
    return {target: offer for target, offer in offers.items() if target == cheapest or offer.cost_usd <= most}


def best_mix(
    menus: Mapping[K, tuple[float, Mapping[T, Offer]]], allowance_usd: float
) -> tuple[float, dict[K, dict[T, float]]]:
    """λ, and the shares that buy the most; each menu with its share of the requests.

    Where even the cheapest are beyond the allowance it is they, and λ the slope of the first step from them.
    """
    hulls = {key: hull(offers) for key, (_, offers) in menus.items()}
    left = allowance_usd - sum(share * hulls[key][0][1].cost_usd for key, (share, _) in menus.items())
    chosen = {key: {corners[0][0]: 1.0} for key, corners in hulls.items()}
    price = 0.0
    for slope, key, corner in _steps(hulls):
        price = slope
        (low, cheaper), (high, dearer) = hulls[key][corner], hulls[key][corner + 1]
        cost = menus[key][0] * (dearer.cost_usd - cheaper.cost_usd)
        if cost >= left:
            part = max(0.0, left / cost) if cost > 0 else 0.0
            chosen[key] = {low: 1.0 - part, high: part} if part > 0 else {low: 1.0}
            return price, chosen
        left -= cost
        chosen[key] = {high: 1.0}
    return 0.0, chosen


def _steps(hulls: Mapping[K, Sequence[tuple[T, Offer]]]) -> list[tuple[float, K, int]]:
    """From corner to corner, what a USD buys most with first; of one hull they fall by themselves."""
    steps = [
        ((dearer.value - cheaper.value) / (dearer.cost_usd - cheaper.cost_usd), key, corner)
        for key, corners in hulls.items()
        for corner, ((_, cheaper), (_, dearer)) in enumerate(pairwise(corners))
    ]
    return sorted(steps, key=lambda step: -step[0])


def hull(offers: Mapping[T, Offer]) -> list[tuple[T, Offer]]:
    """The corners of the upper concave hull of (cost, value), cheapest first: each dearer one is worth more."""
    corners: list[tuple[T, Offer]] = []
    for target, offer in sorted(offers.items(), key=lambda each: (each[1].cost_usd, -each[1].value)):
        if corners and offer.value <= corners[-1][1].value:
            continue
        while corners and _below(corners, offer):
            corners.pop()
        corners.append((target, offer))
    return corners


def _below(corners: Sequence[tuple[T, Offer]], offer: Offer) -> bool:
    """Does the last corner lie on or below the line from the one before to `offer`?"""
    last = corners[-1][1]
    if math.isclose(last.cost_usd, offer.cost_usd, rel_tol=1e-9):
        return True
    if len(corners) < 2:
        return False
    before = corners[-2][1]
    rise, run = offer.value - before.value, offer.cost_usd - before.cost_usd
    return (last.value - before.value) * run <= rise * (last.cost_usd - before.cost_usd)

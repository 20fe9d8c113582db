"""Why the ranking is as it is: the parts of each score, the gap to others, and what would change the order.

    part_i = e_i·f_i,    Σ part = s,    gap of two targets = Σ (their parts' differences)

What would change the order: a target T leads where its score is within `noise` of the best of the others, and its
utility above that of each of those which are near. Score and utility both rise with each feature f_j of T, by e_j and
o_j, so T leads from a change δ of f_j on, which follows from the formulas (app/domain/routing/scoring.py) alone:

    δ = max( (s_top − noise − s_T) / e_j,  max_C min( (U_C − U_T) / o_j, (s_C + noise − s_T) / e_j ) )
        C: those of the others whose score is at least s_top − noise,  s_top: the best of the others' scores

At or below zero for the leader: how much of it may be lost. As a figure: the latency that all its answers would have to
take, the cost that all would have to have, or the quality of their grades, all else as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app.domain import shown
from app.domain.catalog import Target
from app.domain.evidence.evidence import Evidence
from app.domain.policy import Objective, Policy
from app.domain.routing import scoring
from app.domain.routing.ceiling import Pacing
from app.domain.routing.scoring import BEYOND_P95, Features, Figures

#: names of the three features, as the API has them and as people read them
NAMES = ("latency", "cost", "reliability")
WORDS = ("latency", "cost", "success × quality")
#: digits of scores and of what they are made of
DIGITS = 4
#: relative difference of what counts and what was measured lately, from which on both are said
SAME = 0.05


class Ranked(NamedTuple):
    """A target that is compared by score."""

    target: Target
    name: str
    evidence: Evidence
    figures: Figures
    #: effective weights
    lean: Features
    score: float
    utility: float

    @property
    def parts(self) -> Features:
        latency, cost, good = (e * f for e, f in zip(self.lean, scoring.features(self.figures), strict=True))
        return latency, cost, good

    @property
    def served(self) -> float:
        """The success rate that counts."""
        return self.figures.good / self.figures.quality if self.figures.quality else self.evidence.success

    def counted_ms(self, objective: Objective) -> float:
        """The latency that its answers count as."""
        known = self.evidence
        return known.late.mean * objective.latency_ref_ms if known.late.mass else self.figures.latency_ms

    def counted_usd(self, objective: Objective) -> float:
        return self.figures.dear / self.served * objective.cost_ref_usd if self.served else self.figures.cost_usd


class Turn(NamedTuple):
    """The figures at which the lead changes, one of them changed alone; None: no value of it does."""

    latency_ms: float | None
    cost_usd: float | None
    quality: float | None

    def to_json(self) -> dict[str, float | None]:
        return {
            "latencyMs": None if self.latency_ms is None else round(self.latency_ms, 1),
            "costUsd": None if self.cost_usd is None else float(f"{self.cost_usd:.6g}"),
            "quality": None if self.quality is None else round(self.quality, DIGITS),
        }


def parts_json(parts: Features, score: float) -> dict[str, float]:
    """They add up to the score as it is shown."""
    return dict(zip(NAMES, shown.adding_up(parts, round(score, DIGITS), DIGITS), strict=True))


def gap_json(mine: Ranked, other: Ranked) -> dict[str, Any]:
    """What it is ahead of the other, part by part; negative: behind."""
    gaps = [a - b for a, b in zip(mine.parts, other.parts, strict=True)]
    total = round(mine.score - other.score, DIGITS)
    parts = dict(zip(NAMES, shown.adding_up(gaps, total, DIGITS), strict=True))
    return {"to": str(other.target), "score": total, **parts, "utility": round(mine.utility - other.utility, DIGITS)}


def turn(mine: Ranked, others: Sequence[Ranked], policy: Policy) -> Turn:
    """Of the leader: what it must not reach; of another: what it must reach, to lead."""
    late, dear, good = (_leads_from(mine, others, place, policy) for place in range(3))
    return Turn(
        _as_latency_ms(mine, mine.figures.late - late, policy.objective),
        _as_cost_usd(mine, mine.figures.dear - dear, policy.objective),
        _as_quality(mine, mine.figures.good + good, others, policy),
    )


def _leads_from(mine: Ranked, others: Sequence[Ranked], place: int, policy: Policy) -> float:
    """δ of the feature at this place."""
    objective, noise = policy.objective, policy.score.noise
    by_score, by_utility = mine.lean[place], (objective.time, objective.cost, 1.0)[place]
    top = max(other.score for other in others)
    needed = [_over(top - noise - mine.score, by_score)]
    for other in others:
        if other.score >= top - noise:
            ahead = _over(other.utility - mine.utility, by_utility)
            needed.append(min(ahead, _over(other.score + noise - mine.score, by_score)))
    return max(needed)


def _over(missing: float, slope: float) -> float:
    if slope > 0:
        return missing / slope
    return math.inf if missing > 0 else -math.inf


def _as_latency_ms(mine: Ranked, late: float, objective: Objective) -> float | None:
    """The latency of all its answers that gives this l; beyond the reference slower is not worse."""
    served, known = mine.served, mine.evidence
    if objective.p95:
        tail = objective.p95 * min(1.0, known.slow.mean / BEYOND_P95)
        late = (late * objective.time - tail) / objective.latency if objective.latency else math.inf
    if known.late_failed_mass:
        late = (late - (1 - served) * known.late_failed) / served if served else math.inf
    return late * objective.latency_ref_ms if 0 <= late <= 1 else None


def _as_cost_usd(mine: Ranked, dear: float, objective: Objective) -> float | None:
    share = dear / mine.served if mine.served else math.inf
    return share * objective.cost_ref_usd if 0 <= share <= 1 else None


def _as_quality(mine: Ranked, good: float, others: Sequence[Ranked], policy: Policy) -> float | None:
    """The gate may shut before the score is overtaken."""
    best = max((other.figures.quality for other in others if other.evidence.quality is not None), default=0.0)
    least = policy.gate.quality_share * best - 2 * mine.evidence.quality_error
    quality = max(good / mine.served if mine.served else math.inf, least)
    return quality if 0 <= quality <= 1 else None


# ── in words ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def first_says(first: Ranked, behind: Sequence[Ranked], policy: Policy) -> str:
    """Of the one that leads."""
    if not behind:
        return "first: no other target can be compared with it"
    second = _next(first, behind, policy)
    told = f"{_lead(first, second, policy)}: {_differences(first, second, policy)}"
    return "; ".join([told, *_ends(turn(first, behind, policy), "would lose the lead at", "below quality")])


def _next(first: Ranked, behind: Sequence[Ranked], policy: Policy) -> Ranked:
    """As the ranking has it: among those that are near, utility says who is next; else the score does."""
    near = [each for each in behind if each.score >= first.score - policy.score.noise]
    return max(near, key=lambda each: (each.utility, each.score)) if near else max(behind, key=lambda each: each.score)


def _lead(first: Ranked, second: Ranked, policy: Policy) -> str:
    gap = first.score - second.score
    if gap > policy.score.noise:
        return f"first by {shown.points(gap)} over {second.name}"
    if first.utility - second.utility <= policy.score.near_tie:
        return f"shares first place with {second.name}, {shown.points(abs(gap))} away"
    order = f"scores {shown.points(first.score)} and {shown.points(second.score)} are within {policy.score.noise:g}"
    worth = shown.points(first.utility - second.utility)
    return f"first by {worth} of utility over {second.name}, as their {order}"


def behind_says(mine: Ranked, first: Ranked, others: Sequence[Ranked], policy: Policy) -> str:
    """Of one that does not: `others` are all but itself."""
    gap = mine.score - first.score
    if abs(gap) <= policy.score.noise:
        if first.utility - mine.utility <= policy.score.near_tie:
            how = f"shares first place with {first.name}, {shown.points(abs(gap))} away"
        else:
            how = f"{shown.points(first.utility - mine.utility)} of utility behind {first.name}"
    else:
        how = f"{shown.points(-gap)} behind {first.name}"
    told = f"{how}: {_differences(mine, first, policy)}"
    return "; ".join([told, *_ends(turn(mine, others, policy), "would lead at", "from quality")])


def _differences(mine: Ranked, other: Ranked, policy: Policy) -> str:
    gaps = [a - b for a, b in zip(mine.parts, other.parts, strict=True)]
    rounded = shown.adding_up(gaps, mine.score - other.score, 3)
    figures = (_both_ms, _both_usd, _both_good)
    told = [
        f"{shown.signed(gap)} {word} ({say(mine, other, policy.objective)})"
        for gap, word, say in zip(rounded, WORDS, figures, strict=True)
        if gap
    ]
    return ", ".join(told) or "they are alike in latency, cost and success × quality"


def _both_ms(mine: Ranked, other: Ranked, objective: Objective) -> str:
    return _both([mine.figures.latency_ms, other.figures.latency_ms],
                 [mine.counted_ms(objective), other.counted_ms(objective)], " ms", "{:.0f}".format)  # fmt: skip


def _both_usd(mine: Ranked, other: Ranked, objective: Objective) -> str:
    return _both([mine.figures.cost_usd, other.figures.cost_usd],
                 [mine.counted_usd(objective), other.counted_usd(objective)], "", shown.usd)  # fmt: skip


def _both(lately: Sequence[float], counted: Sequence[float], unit: str, write: Any) -> str:
    """What they count as, and what was measured lately where that is another thing."""
    told = f"{write(counted[0])} vs {write(counted[1])}{unit}"
    same = all(abs(a - b) <= SAME * max(a, b) for a, b in zip(lately, counted, strict=True))
    return told if same else f"counts as {told}, lately {write(lately[0])} vs {write(lately[1])}{unit}"


def _both_good(mine: Ranked, other: Ranked, objective: Objective) -> str:
    return f"{shown.share(mine.figures.good)} vs {shown.share(other.figures.good)}"


def _ends(found: Turn, at: str, quality: str) -> list[str]:
    told = [
        *([] if found.latency_ms is None else [shown.ms(found.latency_ms)]),
        *([] if found.cost_usd is None else [shown.usd(found.cost_usd)]),
        *([] if found.quality is None else [f"{quality} {shown.share(found.quality)}"]),
    ]
    return [f"{at} {', or '.join(told)}" if told else f"no latency, cost or quality alone at which it {at[:-3]}"]


def by_target(ranked: Sequence[Ranked], first: Target, policy: Policy) -> Mapping[Target, dict[str, Any]]:
    """For each that is compared: parts, gap to the leader (of the leader: to the next), the figures at which the lead
    changes, and all of it in words."""
    leader = next((each for each in ranked if each.target == first), None)
    return {each.target: _told(each, leader, [x for x in ranked if x is not each], policy) for each in ranked}


def under_ceiling(ranked: Sequence[Ranked], pacing: Pacing) -> Mapping[Target, dict[str, Any]]:
    """… where the ceiling in money decides: by utility less the price of money, which `utility` is then."""
    mix = dict(pacing.mix)
    return {
        each.target: {
            "parts": parts_json(each.parts, each.score),
            "gap": None,
            "turn": None,
            "why": f"{mix.get(each.target, 0.0):.0%} of the requests under the ceiling: worth "
            f"{shown.points(each.utility)} at {shown.points(pacing.price / 1000)} of utility per 0.001 USD",
        }
        for each in ranked
    }


def _told(mine: Ranked, leader: Ranked | None, others: Sequence[Ranked], policy: Policy) -> dict[str, Any]:
    written: dict[str, Any] = {"parts": parts_json(mine.parts, mine.score)}
    if not others or leader is None:
        return written | {"gap": None, "turn": None, "why": first_says(mine, [], policy) if mine is leader else ""}
    against = max(others, key=lambda each: each.score) if mine is leader else leader
    why = first_says(mine, others, policy) if mine is leader else behind_says(mine, leader, others, policy)
    return written | {"gap": gap_json(mine, against), "turn": turn(mine, others, policy).to_json(), "why": why}

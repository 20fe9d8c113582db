"""Every policy on one regime and seed, side by side through the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.policy import Policy
from app.domain.replay.regimes.course import Course
from app.domain.replay.regimes.regime import Regime
from app.domain.replay.replay import Run

#: beside `tooloo`; and the best fixed target, which is known afterwards only
BESIDE = ("static", "utility-greedy", "ucb1", "thompson")
BEST_FIXED = "fixed:best"
#: of the policies' own random choices; the seeds of a regime are those of its calls
POLICY_SEED = 1


@dataclass(frozen=True, slots=True)
class Trial:
    name: str
    regime: Regime
    seed: int
    #: of the best fixed target
    best_fixed: str
    #: policy → its figures
    figures: Mapping[str, Mapping[str, Any]]


def trial(name: str, regime: Regime, seed: int, policy: Policy, policies: Sequence[str] = BESIDE) -> Trial:
    """Each policy has the quotas for itself."""
    course = Course(name, regime, seed)
    header, best = course.header(), course.best_fixed()
    names = {"tooloo": "tooloo", **{each: each for each in policies}, BEST_FIXED: f"fixed:{best}"}
    runs = {shown: Run(header, each, policy, POLICY_SEED, course.quotas()) for shown, each in names.items()}
    for row in course.rows():
        for run in runs.values():
            run.step(row)
    return Trial(
        name, regime, seed, best, {shown: {**run.tally.figures(), **run.tally.lost()} for shown, run in runs.items()}
    )

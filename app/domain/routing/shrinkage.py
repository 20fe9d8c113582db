"""Grades drawn to what prices say, as far as chance made them.

    q′ = line + (q − line) · τ² / (τ² + V/n),      line = a + b · ln C,   b ≥ 0

The line is fitted through all targets, τ² is what they differ from it by beyond chance (empirical Bayes, as in Morris
1983, "Parametric empirical Bayes inference"). What is dearer is mostly better; where a few dozen grades cannot tell two
targets apart, a ceiling that leaves the money is better spent on the dearer one than drawn by lot.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from app.domain.catalog import Target

#: targets through which a line says something
LEAST = 3
#: τ² is at least this (a standard deviation of .01)
LEAST_VARIANCE = 1e-4


class Graded(NamedTuple):
    quality: float
    #: of `quality`, squared
    error2: float
    cost_usd: float


def shrunk(graded: Mapping[Target, Graded]) -> dict[Target, float]:
    """The quality of each target; one that is free has no place on the line, and stays what it is."""
    priced = {target: each for target, each in graded.items() if each.cost_usd > 0}
    found = {target: each.quality for target, each in graded.items()}
    if len(priced) < LEAST:
        return found
    line = _line(priced)
    beyond = sum((each.quality - line[target]) ** 2 - each.error2 for target, each in priced.items())
    between = max(LEAST_VARIANCE, beyond / (len(priced) - 2))
    for target, each in priced.items():
        found[target] = line[target] + (each.quality - line[target]) * between / (between + each.error2)
    return found


def _line(priced: Mapping[Target, Graded]) -> dict[Target, float]:
    logs = {target: math.log(each.cost_usd) for target, each in priced.items()}
    middle = sum(logs.values()) / len(logs)
    mean = sum(each.quality for each in priced.values()) / len(priced)
    spread = sum((log - middle) ** 2 for log in logs.values())
    together = sum((logs[target] - middle) * (each.quality - mean) for target, each in priced.items())
    slope = max(0.0, together / spread) if spread > 0 else 0.0
    return {target: mean + slope * (log - middle) for target, log in logs.items()}

"""What rounds measured, as the model of a baseline; and the sums of which every measure is made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.domain.policy import Objective
from app.domain.replay.baseline_types import COST, DEAR, LATE, LATENCY, SUCCESS, RoundCell, Sums

_PLACES: Mapping[str, int] = {"latencyMs": LATENCY, "costUsd": COST, "success": SUCCESS}


@dataclass(frozen=True, slots=True)
class _Mean:
    """Of probes."""

    sums: Sums
    quality: float

    def of(self, measure: str, objective: Objective) -> float:
        return self.quality if measure == "quality" else of_sums(self.sums, measure, self.quality, objective)


class Models:
    """What rounds measured, by target and block; of a block without a round, the nearest one's."""

    def __init__(self, rounds: Sequence[RoundCell], objective: Objective) -> None:
        self.objective = objective
        by_block: dict[tuple[str, int], list[RoundCell]] = defaultdict(list)
        by_prompt: dict[tuple[str, str], list[RoundCell]] = defaultdict(list)
        self.prompts: dict[str, set[str]] = defaultdict(set)
        for cell in rounds:
            by_block[cell.target, cell.block].append(cell)
            by_prompt[cell.target, cell.prompt].append(cell)
            self.prompts[cell.target].add(cell.prompt)
        self.of_block = {key: _mean(cells) for key, cells in by_block.items()}
        self.of_prompt = {key: _mean(cells) for key, cells in by_prompt.items()}
        self.blocks: dict[str, list[int]] = defaultdict(list)
        for target, block in sorted(by_block):
            self.blocks[target].append(block)
        self.targets = set(self.blocks)
        self._at: dict[tuple[str, int, str], float] = {}
        self._nearest: dict[tuple[str, int], _Mean] = {}

    def at(self, target: str, block: int, measure: str) -> float:
        key = (target, block, measure)
        if key not in self._at:
            self._at[key] = self._near(target, block).of(measure, self.objective)
        return self._at[key]

    def _near(self, target: str, block: int) -> _Mean:
        key = (target, block)
        if key not in self._nearest:
            nearest = min(self.blocks[target], key=lambda each: abs(each - block))
            self._nearest[key] = self.of_block[target, nearest]
        return self._nearest[key]

    def by_prompt(
        self, target: str, measure: str, served: Mapping[tuple[int, str], float], calls: float
    ) -> dict[str, float]:
        """By prompt, what was served less this target, as the rounds have it."""
        share: dict[str, float] = defaultdict(float)
        for (_, each), count in served.items():
            share[each] += count / calls
        sides = [each for each in {*share, target} if each in self.targets]
        found = {}
        for prompt in sorted(self.prompts[target]):
            if all(prompt in self.prompts[each] for each in sides):
                means = {each: self.of_prompt[each, prompt].of(measure, self.objective) for each in sides}
                whole = sum(part for each, part in share.items() if each in means)
                found[prompt] = sum(share[each] * means[each] for each in means if each in share) / whole
                found[prompt] -= means[target]
        return found


def _mean(cells: Sequence[RoundCell]) -> _Mean:
    calls, graded = sum(cell.calls for cell in cells), sum(cell.graded for cell in cells)
    quality = sum(cell.quality for cell in cells) / graded if graded else 1.0
    return _Mean(added([cell.sums for cell in cells], calls), quality)


def added(sums: Iterable[Sums], calls: float = 1.0) -> Sums:
    a, b, c, d, e = (sum(column) / calls for column in zip(*sums, strict=True))
    return a, b, c, d, e


def of_sums(sums: Sums, measure: str, quality: float, objective: Objective) -> float:
    if measure == "utility":
        return quality * sums[SUCCESS] - objective.latency * sums[LATE] - objective.cost * sums[DEAR]
    return sums[_PLACES[measure]]

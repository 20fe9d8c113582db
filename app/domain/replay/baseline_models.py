"""What rounds measured, as the model of a baseline; and the sums of which every measure is made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from app.domain.policy import Objective
from app.domain.replay.baseline_types import COST, DEAR, LATE, LATENCY, SUCCESS, RoundCell, Sums


class Models:
    """What rounds measured, by target and block; of a block without a round, the nearest one's."""

    def __init__(self, rounds: Sequence[RoundCell], objective: Objective) -> None:
        self.objective = objective
        self.cells: dict[tuple[str, int], list[RoundCell]] = defaultdict(list)
        self.prompts: dict[tuple[str, str], list[RoundCell]] = defaultdict(list)
        for cell in rounds:
            self.cells[cell.target, cell.block].append(cell)
            self.prompts[cell.target, cell.prompt].append(cell)
        self.blocks: dict[str, list[int]] = defaultdict(list)
        for target, block in sorted(self.cells):
            self.blocks[target].append(block)
        self.targets = set(self.blocks)
        self._at: dict[tuple[str, int, str], float] = {}

    def at(self, target: str, block: int, measure: str) -> float:
        key = (target, block, measure)
        if key not in self._at:
            nearest = min(self.blocks[target], key=lambda each: abs(each - block))
            self._at[key] = _mean_of(self.cells[target, nearest], measure, self.objective)
        return self._at[key]

    def by_prompt(
        self, target: str, measure: str, served: Mapping[tuple[int, str], float], calls: float
    ) -> dict[str, float]:
        """By prompt, what was served less this target, as the rounds have it."""
        share: dict[str, float] = defaultdict(float)
        for (_, each), count in served.items():
            share[each] += count / calls
        found = {}
        for prompt in {cell.prompt for cell in self.prompts_of(target)}:
            sides = {t: self.prompts.get((t, prompt)) for t in {*share, target} if t in self.targets}
            if all(sides.values()):
                means = {t: _mean_of(cells or [], measure, self.objective) for t, cells in sides.items()}
                whole = sum(part for t, part in share.items() if t in means)
                found[prompt] = sum(share[t] * means[t] for t in means if t in share) / whole - means[target]
        return found

    def prompts_of(self, target: str) -> list[RoundCell]:
        return [cell for block in self.blocks[target] for cell in self.cells[target, block]]


def _mean_of(cells: Sequence[RoundCell], measure: str, objective: Objective) -> float:
    calls, graded = sum(cell.calls for cell in cells), sum(cell.graded for cell in cells)
    quality = sum(cell.quality for cell in cells) / graded if graded else 1.0
    if measure == "quality":
        return quality
    columns = [sum(cell.sums[place] for cell in cells) / calls for place in range(5)]
    return of_sums((columns[0], columns[1], columns[2], columns[3], columns[4]), measure, quality, objective)


def of_sums(sums: Sums, measure: str, quality: float, objective: Objective) -> float:
    if measure == "utility":
        return quality * sums[SUCCESS] - objective.latency * sums[LATE] - objective.cost * sums[DEAR]
    return sums[{"latencyMs": LATENCY, "costUsd": COST, "success": SUCCESS}[measure]]

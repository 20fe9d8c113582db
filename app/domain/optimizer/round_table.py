"""What the optimizer keeps of a round: what was known before it, and what each prompt's call was worth in it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from app.domain.optimizer.gains import Differences
from app.domain.policy import WeightsPolicy
from app.domain.routing.scoring import Features

#: prompts that are told apart: of more, some share a cluster, so that the memory stays small
CLUSTERS = 64


@dataclass(frozen=True, slots=True)
class RoundTable:
    """Targets by name. Those that were down in the round have features at most."""

    #: known before the round, of each target that could be first
    features: Mapping[str, Features]
    #: mean utility of the round's calls
    utilities: Mapping[str, float]
    #: prompts, and in their order what each target's call was worth; None: there was none
    prompts: tuple[str, ...] = ()
    worth: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)

    def differences(self, one: str, other: str) -> Differences:
        """By prompt, over those that both were asked."""
        mine, its = self.worth.get(one, ()), self.worth.get(other, ())
        rows = zip(self.prompts, mine, its, strict=False)
        return {prompt: a - b for prompt, a, b in rows if a is not None and b is not None}

    @property
    def calls(self) -> int:
        return sum(value is not None for row in self.worth.values() for value in row)


def table_of(
    features: Mapping[str, Features], utilities: Mapping[str, float], by_prompt: Mapping[str, Mapping[str, float]]
) -> RoundTable:
    prompts = tuple(dict.fromkeys(prompt for row in by_prompt.values() for prompt in row))
    worth = {
        name: tuple(None if prompt not in row else round(row[prompt], 5) for prompt in prompts)
        for name, row in by_prompt.items()
    }
    return RoundTable(features, utilities, prompts, worth)


def clustered(prompts: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The mean of each prompt's calls, or of each cluster's where there are many."""
    if len(prompts) <= CLUSTERS:
        return {prompt: sum(calls) / len(calls) for prompt, calls in prompts.items()}
    clusters: dict[str, list[float]] = {}
    for prompt, calls in prompts.items():
        clusters.setdefault(f"~{zlib.crc32(prompt.encode()) % CLUSTERS}", []).extend(calls)
    return {name: sum(calls) / len(calls) for name, calls in clusters.items()}


def recent(tables: Sequence[RoundTable], limits: WeightsPolicy) -> list[tuple[float, RoundTable]]:
    """The rounds that count, the latest first, each with its share; one that an older release kept has no prompts."""
    latest = enumerate(reversed(tables[-limits.horizon_rounds :]))
    return [(limits.horizon_decay**age, table) for age, table in latest if table.worth]


def between(
    rounds: Iterable[tuple[float, RoundTable]], ones: Iterable[str], others: Iterable[str]
) -> list[tuple[float, Differences]]:
    """Round by round, what one target was worth more than another."""
    return [
        (share, table.differences(one, other)) for (share, table), one, other in zip(rounds, ones, others, strict=True)
    ]

"""Names of what a round is made of."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from app.domain.catalog import Target


@dataclass(frozen=True, slots=True, order=True)
class ProbeKey:
    """One prompt sent to one target in one round: the only thing a message about it says."""

    round_id: str
    provider: str
    model: str
    prompt_id: str

    @property
    def target(self) -> Target:
        return Target(self.provider, self.model)


class Coverage(StrEnum):
    FULL = "full"  # every prompt, of every target
    TRIMMED = "trimmed"  # of every target, the prompts that the budget allowed: a table as complete, of fewer rows
    PART = "part"  # a part that a person chose, or too few prompts: it says nothing about the others


def coverage(
    asked: Collection[tuple[Target, str]],
    targets: Collection[Target],
    prompts: Collection[str],
    left_out: Collection[str],
    least: int,
) -> Coverage:
    """What a round measured of all there is to measure.

    `left_out`: for want of money; `least`: prompts of which a trimmed round must consist.
    """
    kept = set(prompts) - set(left_out)
    if not set(asked) >= {(target, prompt) for target in targets for prompt in kept}:
        return Coverage.PART
    if kept == set(prompts):
        return Coverage.FULL
    return Coverage.TRIMMED if len(kept) >= least else Coverage.PART

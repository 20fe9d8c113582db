"""What a round may cost, and which prompts it keeps where that is not enough for all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.domain.insight import Insight

#: of the insight, by which a round remembers what was taken from it
KIND = "budget"
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Allowance:
    """USD that the round to be planned may cost, and the cap that says so."""

    round_usd: float
    day_usd: float
    #: by rounds of the last 24 hours; of those that still run, what they are expected to cost
    spent_usd: float

    @property
    def usd(self) -> float:
        return max(0.0, min(self.round_usd, self.day_usd - self.spent_usd))

    @property
    def reason(self) -> str:
        if self.day_usd - self.spent_usd < self.round_usd:
            return f"{money(self.spent_usd)} of the {money(self.day_usd)} per day are spent"
        return f"a round may cost {money(self.round_usd)}"


@dataclass(frozen=True, slots=True)
class Trimmed:
    """The prompts a round keeps, in their order, with what they are expected to cost over all targets."""

    prompts: tuple[str, ...]
    left_out: tuple[str, ...]
    cost_usd: float

    @property
    def wanted_usd(self) -> float:
        return self.cost_usd + self.over_usd

    #: expected cost of what is left out
    over_usd: float = 0.0


def trim(costs_usd: Mapping[str, float], last_asked: Mapping[str, datetime], usd: float) -> Trimmed:
    """As many prompts as `usd` allows; a prompt is asked of every target or of none, so that no provider is favoured.

    `costs_usd`: per prompt, over all targets. `last_asked`: those that were asked longest ago come first, whatever they
    cost, so that each is asked again and again unless it alone costs more than `usd`.
    """
    if sum(costs_usd.values()) <= usd:
        return Trimmed(tuple(costs_usd), (), sum(costs_usd.values()))
    kept: set[str] = set()
    left_usd = usd
    for prompt in sorted(costs_usd, key=lambda each: (last_asked.get(each, _NEVER), costs_usd[each], each)):
        if costs_usd[prompt] <= left_usd:
            kept.add(prompt)
            left_usd -= costs_usd[prompt]
    return Trimmed(
        prompts=tuple(prompt for prompt in costs_usd if prompt in kept),
        left_out=tuple(prompt for prompt in costs_usd if prompt not in kept),
        cost_usd=sum(costs_usd[prompt] for prompt in kept),
        over_usd=sum(cost for prompt, cost in costs_usd.items() if prompt not in kept),
    )


def insight(allowance: Allowance, trimmed: Trimmed, least: int) -> Insight | None:
    """What the budget did to the round; None: nothing. `least`: prompts with which it still moves weights."""
    if not trimmed.left_out:
        return None
    data: dict[str, Any] = {
        "estimatedUsd": round(trimmed.wanted_usd, 6),
        "allowedUsd": round(allowance.usd, 6),
        "spentUsd": round(allowance.spent_usd, 6),
        "leftOut": list(trimmed.left_out),
    }
    expected = f"the round would cost about {money(trimmed.wanted_usd)}, and {allowance.reason}"
    if not trimmed.prompts:
        return Insight(KIND, f"budget: {expected}: round skipped", data)
    text = f"budget: {expected}: left out for every provider: {', '.join(trimmed.left_out)}"
    if len(trimmed.prompts) < least:
        text += f"; what is left ({len(trimmed.prompts)} of at least {least} prompts) moves no weights"
    return Insight(KIND, text, data)


def left_out(notes: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The prompts that the budget took from a round, by the round's own notes."""
    return frozenset(prompt for note in notes if note["kind"] == KIND for prompt in note["data"]["leftOut"])


def money(usd: float) -> str:
    return f"${usd:.2f}" if usd >= 1 or usd == 0 else f"${usd:.4f}"

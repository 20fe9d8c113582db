"""What a round is to measure: the targets and prompts that were chosen, as far as the budget allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.orm import Session

from app.domain.catalog import Prompt, Target
from app.domain.insight import Insight
from app.domain.rounds import budget
from app.domain.rounds.budget import Allowance
from app.errors import InvalidRequest, NoTarget
from app.providers.base import Usage
from app.providers.prices import cost_usd
from app.services import Services
from app.store import database, measured, rounds

log = structlog.get_logger()

DAY = timedelta(days=1)
#: of English text; what a prompt costs is a small part of a call
CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of the catalog a manual round measures; empty: all of it."""

    providers: Sequence[str] = ()
    prompts: Sequence[str] = ()


def selected_targets(services: Services, selection: Selection, left_out: Mapping[str, str]) -> list[Target]:
    """Raises InvalidRequest naming what cannot be measured, NoTarget where nothing can."""
    known = {provider.name for provider in services.providers}
    for name in selection.providers:
        if name not in known:
            raise InvalidRequest(f"unknown provider {name!r}; known are: {', '.join(sorted(known))}", field="providers")
        if name in left_out:
            raise InvalidRequest(f"{name} cannot be measured: {left_out[name]}", field="providers")
    targets = [
        target
        for target in services.targets
        if target.provider not in left_out and (not selection.providers or target.provider in selection.providers)
    ]
    if not targets:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise NoTarget(f"no provider can be measured ({reasons})")
    return targets


def selected_prompts(services: Services, selection: Selection) -> list[Prompt]:
    """Raises InvalidRequest for one that there is not."""
    known = {prompt.id: prompt for prompt in services.prompts}
    for name in selection.prompts:
        if name not in known:
            raise InvalidRequest(f"unknown prompt {name!r}; known are: {', '.join(known)}", field="prompts")
    if selection.prompts:
        return [known[name] for name in dict.fromkeys(selection.prompts)]
    return [prompt for prompt in services.prompts if prompt.enabled]


@dataclass(frozen=True, slots=True)
class Affordable:
    """The prompts that the budget allows, what they are expected to cost, and what it did to the others."""

    prompts: Sequence[Prompt]
    cost_usd: float
    insight: Insight | None


def affordable(
    session: Session, services: Services, targets: Sequence[Target], prompts: Sequence[Prompt], now: datetime
) -> Affordable:
    """Call it under rounds.lock_planning: two rounds planned at once would each spend what is left."""
    limits = services.policy.budget
    names = [provider.name for provider in services.providers]
    allowance = Allowance(
        round_usd=limits.round_usd,
        day_usd=limits.day_usd,
        spent_usd=measured.spent_usd(session, names, DAY, simulated=services.simulated),
    )
    costs = _expected(services, measured.expected_costs(session, targets, DAY), targets, prompts, now)
    trimmed = budget.trim(costs, measured.last_asked(session, services.policy.rounds.history), allowance.usd)
    kept = [prompt for prompt in prompts if prompt.id in trimmed.prompts]
    return Affordable(kept, trimmed.cost_usd, budget.insight(allowance, trimmed, limits.least_prompts))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a round would be, if it were started now."""

    targets: int
    prompts: int
    cost_usd: float
    #: what the budget does to it; None: nothing
    budget: str | None
    #: a round that is under way
    running: str | None

    def to_json(self) -> dict[str, Any]:
        return {
            "targets": self.targets,
            "prompts": self.prompts,
            "probes": self.targets * self.prompts,
            "estimatedCostUsd": self.cost_usd,
            "budget": self.budget,
            "running": self.running,
        }


def estimate(services: Services, selection: Selection) -> Estimate:
    """Raises as the start of such a round does; it changes nothing."""
    targets = selected_targets(services, selection, services.left_out(services.config.value))
    prompts = selected_prompts(services, selection)
    with database.transaction(services.sessions) as session:
        allowed = affordable(session, services, targets, prompts, database.now(session))
        running = rounds.open_rounds(session)
    said = None if allowed.insight is None else allowed.insight.text
    return Estimate(len(targets), len(allowed.prompts), allowed.cost_usd, said, running[0] if running else None)


def _expected(
    services: Services,
    known: Mapping[tuple[Target, str], float],
    targets: Sequence[Target],
    prompts: Sequence[Prompt],
    now: datetime,
) -> dict[str, float]:
    """USD per prompt over all targets: what it cost lately, else at most (an answer of max_tokens at list price).

    A call whose price nobody knows counts as nothing: it cannot be bounded in money.
    """
    judged = min(1.0, services.policy.judge.answers / (len(targets) * len(prompts)))
    costs: dict[str, float] = {}
    unknown: set[str] = set()
    for prompt in prompts:
        verdict = judged * _verdict_usd(services, prompt, now)
        costs[prompt.id] = 0.0
        for target in targets:
            usage = Usage(prompt=len(prompt.text) // CHARS_PER_TOKEN, completion=prompt.max_tokens)
            expected = known.get((target, prompt.id), _at_list_price(services, target, usage, now))
            if expected is None:
                unknown.add(str(target))
            costs[prompt.id] += (expected or 0.0) + verdict
    if unknown:
        log.info("no price is known, not in the budget", targets=sorted(unknown))
    return costs


def _verdict_usd(services: Services, prompt: Prompt, now: datetime) -> float:
    """At most, of the dearest judge."""
    limits = services.policy.judge
    usage = Usage(prompt=300 + len(prompt.text) // CHARS_PER_TOKEN + prompt.max_tokens, completion=limits.max_tokens)
    judges = [Target.parse(name) for name in limits.targets]
    return max((_at_list_price(services, judge, usage, now) or 0.0 for judge in judges), default=0.0)


def _at_list_price(services: Services, target: Target, usage: Usage, now: datetime) -> float | None:
    provider = next((each for each in services.providers if each.name == target.provider), None)
    return None if provider is None else cost_usd(provider, target.model, usage, at=now)

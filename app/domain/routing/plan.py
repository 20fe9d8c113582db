"""A ranking as it is: who is called first, who next, and what put them there."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from app.domain.catalog import Target, TaskType
from app.domain.config.runtime_config import Weights
from app.domain.evidence.evidence import Evidence
from app.domain.evidence.task_effects import Feedback, TaskEvidence
from app.domain.policy import Policy
from app.domain.routing import ceiling
from app.domain.routing.breaker import State
from app.domain.routing.scoring import Features, Figures


class Candidate(NamedTuple):
    """A target's place in the ranking, with what put it there."""

    target: Target
    #: None: not comparable (no evidence, not eligible, or routing by priority)
    score: float | None
    utility: float | None
    eligible: bool
    breaker: State
    reasons: tuple[str, ...]
    #: as it is at the request's task type
    evidence: Evidence | None
    task: TaskEvidence | None = None
    feedback: Feedback | None = None
    #: what the score is made of, where there is one
    figures: Figures | None = None
    #: effective weights
    lean: Features | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """`candidates` in route order; `ties` share first place; `explorable` may take it, the longest unseen first."""

    candidates: tuple[Candidate, ...]
    ties: tuple[Target, ...]
    explorable: tuple[Target, ...]
    exploration_rate: float
    at: datetime
    #: why who has first place has it, and why who may be explored first would be: each true of that target
    lead: str = ""
    explores: str = ""
    task: TaskType = TaskType.DEFAULT
    segment: str | None = None
    #: where there is a ceiling in money
    pacing: ceiling.Pacing | None = None
    #: what it was ranked by; None: by priority
    weights: Weights | None = None
    policy: Policy | None = None
    #: the order of targets by who is first, and how it is written: the same for every request, so made once
    orders: dict[Target, tuple[Target, ...]] = field(default_factory=dict, compare=False, repr=False)
    written: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def order(self, first: Target) -> tuple[Target, ...]:
        """All targets, this one first."""
        made = self.orders.get(first)
        if made is None:
            made = (first, *(each.target for each in self.candidates if each.target != first))
            self.orders[first] = made
        return made

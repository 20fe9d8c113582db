"""The scorecard: what is known of each target, from rounds and from live traffic, with counts and age."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from app.domain.catalog import Target
from app.domain.evidence import Evidence
from app.domain.outcome import Outcome, Source
from app.domain.policy import Policy

__all__ = ["Evidence", "Scorecard"]

#: when the latest rounds closed, oldest first, and `Scorecard.calls` at that moment
Marks = tuple[tuple[datetime, int], ...]


@dataclass(frozen=True, slots=True)
class Scorecard:
    """Immutable: `observe` and `close_round` give a new one."""

    evidence: Mapping[Target, Evidence] = field(default_factory=dict)
    #: live calls counted so far
    calls: int = 0
    #: of the last two rounds
    marks: Marks = ()

    @classmethod
    def empty(cls) -> Scorecard:
        return cls({})

    def observe(self, outcomes: Iterable[Outcome], policy: Policy) -> Scorecard:
        """Live outcomes, in the order they came. What does not count against a provider, or is feedback, is not one."""
        evidence, calls = dict(self.evidence), self.calls
        for outcome in outcomes:
            if outcome.counts and outcome.source is not Source.FEEDBACK:
                calls += 1
                known = evidence.get(outcome.target, Evidence())
                evidence[outcome.target] = known.with_live(outcome, policy, calls)
        return replace(self, evidence=evidence, calls=calls)

    def close_round(self, outcomes: Sequence[Outcome], policy: Policy) -> Scorecard:
        """A finished round: what is older of the measured targets fades, then the round's outcomes count in full."""
        by_target: dict[Target, list[Outcome]] = {}
        for outcome in outcomes:
            if outcome.counts:
                by_target.setdefault(outcome.target, []).append(outcome)
        if not by_target:
            return self
        measured = {
            target: self.evidence.get(target, Evidence()).with_round(mine, policy) for target, mine in by_target.items()
        }
        closed_at = max(outcome.at for mine in by_target.values() for outcome in mine)
        marks = (*self.marks, (closed_at, self.calls))[-2:]
        return replace(self, evidence={**self.evidence, **measured}, marks=marks)

    def traffic(self, now: datetime, policy: Policy) -> float | None:
        """Live calls per round interval, at the rate since the round before last; None: too early to say."""
        if not self.marks:
            return None
        since, calls = self.marks[0]
        elapsed_s = (now - since).total_seconds()
        if elapsed_s < policy.rounds.interval_s / 10:
            return None
        return (self.calls - calls) * policy.rounds.interval_s / elapsed_s

    def to_json(self) -> dict[str, Any]:
        targets = {str(target): _EVIDENCE.dump_python(known, mode="json") for target, known in self.evidence.items()}
        return {
            "version": 1,
            "targets": targets,
            "calls": self.calls,
            "marks": [[at.isoformat(), calls] for at, calls in self.marks],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Scorecard:
        """Raises ValueError for what `to_json` did not write; unknown keys of a later release are passed over."""
        try:
            targets = document["targets"].items()
            evidence = {Target.parse(name): _EVIDENCE.validate_python(known) for name, known in targets}
            return cls(evidence, int(document.get("calls", 0)), _MARKS.validate_python(document.get("marks", ())))
        except (AttributeError, KeyError, TypeError, ValidationError) as error:
            raise ValueError(f"not a scorecard: {error!r}") from None


_EVIDENCE = TypeAdapter(Evidence)
_MARKS: TypeAdapter[Marks] = TypeAdapter(Marks)

"""The scorecard: what is known of each target, from rounds and from live traffic, with counts and age."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from app.domain.catalog import Target
from app.domain.evidence import Evidence
from app.domain.outcome import Outcome, Source
from app.domain.policy import Policy

__all__ = ["Evidence", "Scorecard"]


@dataclass(frozen=True, slots=True)
class Scorecard:
    """Immutable: `observe` and `close_round` give a new one."""

    evidence: Mapping[Target, Evidence] = field(default_factory=dict)
    #: live calls counted so far
    calls: int = 0
    #: `calls` when each of the last two rounds closed
    marks: tuple[int, ...] = ()

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
        return replace(self, evidence={**self.evidence, **measured}, marks=(*self.marks, self.calls)[-2:])

    @property
    def calls_per_round(self) -> int | None:
        """Live calls between the last two rounds, or since then if those are more; None: too early to say."""
        if len(self.marks) < 2:
            return None
        before, last = self.marks
        return max(last - before, self.calls - last)

    def to_json(self) -> dict[str, Any]:
        targets = {str(target): _EVIDENCE.dump_python(known, mode="json") for target, known in self.evidence.items()}
        return {"version": 1, "targets": targets, "calls": self.calls, "marks": list(self.marks)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Scorecard:
        """Raises ValueError for what `to_json` did not write; unknown keys of a later release are passed over."""
        try:
            targets = document["targets"].items()
            evidence = {Target.parse(name): _EVIDENCE.validate_python(known) for name, known in targets}
            marks = tuple(int(calls) for calls in document.get("marks", ()))[-2:]
            return cls(evidence, int(document.get("calls", 0)), marks)
        except (AttributeError, KeyError, TypeError, ValidationError) as error:
            raise ValueError(f"not a scorecard: {error!r}") from None


_EVIDENCE = TypeAdapter(Evidence)

"""The scorecard: what is known of each target, from rounds and from live traffic, with counts and age."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from app.domain.catalog import Target, TaskType
from app.domain.evidence import task_effects
from app.domain.evidence.evidence import Evidence, mean_cost_usd
from app.domain.evidence.quality import Grades, by_prompt
from app.domain.evidence.references import References
from app.domain.evidence.spending import Payment, Spending
from app.domain.evidence.task_effects import Feedback, TaskEvidence, Tasks
from app.domain.outcome import Outcome, Source
from app.domain.policy import Policy

__all__ = ["Evidence", "Feedback", "Scorecard", "TaskEvidence"]


@dataclass(frozen=True, slots=True)
class Scorecard:
    """Immutable: `observe` and `close_round` give a new one."""

    evidence: Mapping[Target, Evidence] = field(default_factory=dict)
    #: live calls counted so far
    calls: int = 0
    #: `calls` when each of the last two rounds closed
    marks: tuple[int, ...] = ()

    #: where a task type deviates from the whole; `default` is the whole
    tasks: Tasks = field(default_factory=dict)
    feedback: Mapping[Target, Feedback] = field(default_factory=dict)
    #: of the last day, where there is a ceiling
    spending: Spending = field(default_factory=Spending)
    #: what is slow and dear here, by the rounds
    references: References = field(default_factory=References)

    @classmethod
    def empty(cls) -> Scorecard:
        return cls({})

    def in_force(self, policy: Policy) -> Policy:
        """The policy with the references that it does not declare."""
        objective = self.references.in_force(policy.objective)
        return policy if objective is policy.objective else replace(policy, objective=objective)

    def measured_by(self, references: References, policy: Policy) -> Scorecard:
        """All shares told by other references."""
        old, new = self.references.in_force(policy.objective), references.in_force(policy.objective)
        if old == new:
            return replace(self, references=references)
        evidence = {target: known.measured_by(old, new) for target, known in self.evidence.items()}
        return replace(self, references=references, evidence=evidence)

    def observe(self, outcomes: Iterable[Outcome], policy: Policy) -> Scorecard:
        """Live outcomes, in the order they came. What does not count against a provider, or is feedback, is not one."""
        policy = self.in_force(policy)
        evidence, calls, tasks = dict(self.evidence), self.calls, _open(self.tasks)
        for outcome in outcomes:
            if outcome.counts and outcome.source is not Source.FEEDBACK:
                calls += 1
                known = evidence.get(outcome.target, Evidence())
                _note(tasks, outcome, known, policy)
                evidence[outcome.target] = known.with_live(outcome, policy, calls)
        return replace(self, evidence=evidence, calls=calls, tasks=tasks)

    def close_round(self, outcomes: Sequence[Outcome], policy: Policy) -> Scorecard:
        """A finished round: what is older of the measured targets fades, then the round's outcomes count in full."""
        by_target: dict[Target, list[Outcome]] = {}
        for outcome in outcomes:
            if outcome.counts:
                by_target.setdefault(outcome.target, []).append(outcome)
        if not by_target:
            return self
        card = self.measured_by(self.references.after(self.evidence, outcomes), policy)
        return card._with_round(by_target, card.in_force(policy))

    def _with_round(self, by_target: Mapping[Target, Sequence[Outcome]], policy: Policy) -> Scorecard:
        decay = policy.evidence.task_round_decay
        tasks = {
            task: {target: known.faded(decay) if target in by_target else known for target, known in targets.items()}
            for task, targets in self.tasks.items()
        }
        measured: dict[Target, Evidence] = {}
        for target, mine in by_target.items():
            measured[target] = self.evidence.get(target, Evidence()).with_round(mine, policy)
            for outcome in mine:
                _note(tasks, outcome, measured[target], policy)
            _note_grades(tasks, mine, measured[target].grades, policy)
        return replace(self, evidence={**self.evidence, **measured}, marks=(*self.marks, self.calls)[-2:], tasks=tasks)

    def with_score(
        self, target: Target, score: float, at: datetime, policy: Policy, was: float | None = None
    ) -> Scorecard:
        """What a person said of one answer, 0..1; `was`: what the same person had said of it before."""
        said = self.feedback.get(target, Feedback())
        if was is None:
            said = said.with_score(score, at, policy.evidence.feedback_mass_cap)
        else:
            said = replace(said, score=said.score.corrected(was, score))
        return replace(self, feedback={**self.feedback, target: said})

    def paid(self, payments: Iterable[Payment], policy: Policy) -> Scorecard:
        """What requests that were routed cost, each once."""
        return replace(self, spending=self.spending.after(payments, policy.objective.max_cost_usd))

    def payment(self, at: datetime, task: TaskType, cost_usd: float, target: Target | None, policy: Policy) -> Payment:
        """Of a request that this target served."""
        known = None if target is None else self.evidence.get(target)
        expected_usd = None if known is None else mean_cost_usd(known, self.in_force(policy).objective)
        return Payment(at, task, cost_usd, expected_usd)

    def at_task(self, task: TaskType, policy: Policy) -> Mapping[Target, Evidence]:
        """The evidence to rank by: of the task type as far as it differs from the whole beyond chance; and feedback."""
        evidence = self.evidence
        if task in self.tasks:
            evidence = task_effects.at_task(evidence, self.tasks, task, policy.evidence)
        return task_effects.with_feedback(evidence, self.feedback, policy.evidence) if self.feedback else evidence

    @property
    def calls_per_round(self) -> int | None:
        """Live calls between the last two rounds, or since then if those are more; None: too early to say."""
        if len(self.marks) < 2:
            return None
        before, last = self.marks
        return max(last - before, self.calls - last)

    def to_json(self) -> dict[str, Any]:
        return {
            "version": 1,
            "targets": _dumped(self.evidence, Evidence),
            "calls": self.calls,
            "marks": list(self.marks),
            "tasks": {task.value: _dumped(targets, TaskEvidence) for task, targets in self.tasks.items()},
            "feedback": _dumped(self.feedback, Feedback),
            "references": _adapter(References).dump_python(self.references, mode="json"),
            **({"spending": self.spending.to_json()} if self.spending.hours else {}),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Scorecard:
        """Raises ValueError for what `to_json` did not write; unknown keys of a later release are passed over."""
        try:
            return cls(
                evidence=_read(document["targets"], Evidence),
                calls=int(document.get("calls", 0)),
                marks=tuple(int(calls) for calls in document.get("marks", ()))[-2:],
                tasks={TaskType(task): _read(known, TaskEvidence) for task, known in document.get("tasks", {}).items()},
                feedback=_read(document.get("feedback", {}), Feedback),
                references=_adapter(References).validate_python(document.get("references", {})),
                spending=Spending.from_json(document.get("spending")),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not a scorecard: {error!r}") from None


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    """Made at the first use, as it takes milliseconds, and a replay has none."""
    return TypeAdapter(kind)


def _open(tasks: Tasks) -> dict[TaskType, dict[Target, TaskEvidence]]:
    return {task: dict(targets) for task, targets in tasks.items()}


def _note(
    tasks: dict[TaskType, dict[Target, TaskEvidence]],
    outcome: Outcome,
    whole: Evidence,
    policy: Policy,
) -> None:
    if outcome.task_type is TaskType.DEFAULT:
        return
    targets = tasks.setdefault(outcome.task_type, {})
    known = targets.get(outcome.target, TaskEvidence())
    targets[outcome.target] = known.with_outcome(outcome, whole, policy.evidence)


def _note_grades(
    tasks: dict[TaskType, dict[Target, TaskEvidence]], outcomes: Sequence[Outcome], grades: Grades, policy: Policy
) -> None:
    """A round's, of one target: how much those of a task differ from what it usually gets in this round."""
    graded = [(each.prompt_id, each.quality) for each in outcomes if each.quality is not None]
    if not graded:
        return
    usual = grades.usual(*by_prompt(graded))
    by_task: dict[TaskType, list[float]] = {}
    for each in outcomes:
        if each.quality is not None and each.task_type is not TaskType.DEFAULT:
            by_task.setdefault(each.task_type, []).append(each.quality - usual)
    for task, steps in by_task.items():
        known = tasks[task][outcomes[0].target]
        tasks[task][outcomes[0].target] = replace(known, quality=known.quality.with_round(steps, policy.evidence))


def _dumped(known: Mapping[Target, Any], kind: type) -> dict[str, Any]:
    adapter = _adapter(kind)
    return {str(target): adapter.dump_python(each, mode="json") for target, each in known.items()}


def _read(document: Mapping[str, Any], kind: type) -> dict[Target, Any]:
    adapter = _adapter(kind)
    return {Target.parse(name): adapter.validate_python(each) for name, each in document.items()}

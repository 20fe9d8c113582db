"""What a change of the config would move: the order of targets before and after it, by the same evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.domain.catalog import TaskType
from app.domain.config.runtime_config import RuntimeConfig
from app.domain.routing.plan import Plan

#: (config, segment, task type) → the ranking
Rank = Callable[[RuntimeConfig, str | None, TaskType], Plan]


@dataclass(frozen=True, slots=True)
class Order:
    """For one kind of request; `moves`: who would be first, or in what order, changes."""

    segment: str | None
    task: TaskType
    before: Plan
    after: Plan

    @property
    def moves(self) -> bool:
        return _order(self.before) != _order(self.after) or self.before.ties != self.after.ties

    def to_json(self) -> dict[str, Any]:
        return {
            "segment": self.segment,
            "taskType": self.task.value,
            "moves": self.moves,
            "before": _json(self.before),
            "after": _json(self.after),
        }


def orders(present: RuntimeConfig, changed: RuntimeConfig, rank: Rank) -> list[Order]:
    """Everybody's first; a segment only where either config has weights of its own for it."""
    segments = [None, *(name for name in sorted({*present.segments, *changed.segments}))]
    return [
        Order(segment, task, rank(present, segment, task), rank(changed, segment, task))
        for segment in segments
        for task in (TaskType if segment is None else (TaskType.DEFAULT,))
    ]


def _order(plan: Plan) -> list[str]:
    return [str(each.target) for each in plan.candidates]


def _json(plan: Plan) -> dict[str, Any]:
    return {
        "order": [{"target": str(each.target), "score": each.score} for each in plan.candidates],
        "first": [str(target) for target in plan.ties],
        "explorationRate": plan.exploration_rate,
    }

"""What the last day's requests cost, by the hour and by task type: what a ceiling is held against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from app.domain.catalog import TaskType

#: hours that count: the present one, and those of the day before it
HOURS = 24
HOUR_S = 3600


class Payment(NamedTuple):
    """What one request cost, all of its calls together."""

    at: datetime
    task: TaskType
    cost_usd: float
    #: that the evidence has of the target that served it; None: what it cost
    expected_usd: float | None = None


class Paid(NamedTuple):
    requests: int = 0
    usd: float = 0.0
    #: sum of the squares
    usd2: float = 0.0
    expected_usd: float = 0.0

    def after(self, payment: Payment) -> Paid:
        cost_usd, expected_usd = payment.cost_usd, payment.expected_usd
        return Paid(
            self.requests + 1,
            self.usd + cost_usd,
            self.usd2 + cost_usd * cost_usd,
            self.expected_usd + (cost_usd if expected_usd is None else expected_usd),
        )


@dataclass(frozen=True, slots=True)
class Hour:
    #: hours since the epoch
    number: int
    by_task: Mapping[TaskType, Paid]

    @property
    def all(self) -> Paid:
        found = self.by_task.values()
        return Paid(*map(sum, zip(*found, strict=True)))


@dataclass(frozen=True, slots=True)
class Spending:
    """Immutable: `after` gives a new one. What was spent under another ceiling is no debt under this one."""

    #: None: nothing is counted
    ceiling_usd: float | None = None
    #: those with a request, in order of time
    hours: tuple[Hour, ...] = field(default=())

    def after(self, payments: Iterable[Payment], ceiling_usd: float | None) -> Spending:
        if ceiling_usd is None:
            return Spending()
        by_hour = {each.number: dict(each.by_task) for each in self.hours} if ceiling_usd == self.ceiling_usd else {}
        for each in payments:
            tasks = by_hour.setdefault(hour(each.at), {})
            tasks[each.task] = tasks.get(each.task, Paid()).after(each)
        latest = sorted(by_hour)[-1:]
        kept = [number for number in sorted(by_hour) if number > latest[0] - HOURS]
        return Spending(ceiling_usd, tuple(Hour(number, by_hour[number]) for number in kept))

    def of_the_day(self, now: datetime) -> tuple[Hour, ...]:
        """The hours that count at `now`."""
        return tuple(each for each in self.hours if each.number > hour(now) - HOURS)

    def to_json(self) -> dict[str, Any]:
        return {
            "ceilingUsd": self.ceiling_usd,
            "hours": [
                {"hour": each.number, "tasks": {task.value: list(paid) for task, paid in each.by_task.items()}}
                for each in self.hours
            ],
        }

    @classmethod
    def from_json(cls, document: Any) -> Spending:
        """Raises ValueError, TypeError, KeyError or AttributeError for what `to_json` did not write."""
        if not document:
            return cls()
        return cls(float(document["ceilingUsd"]), tuple(_hour(each) for each in document["hours"]))


def _hour(document: Any) -> Hour:
    tasks = document["tasks"].items()
    return Hour(int(document["hour"]), {TaskType(task): _paid(*sums) for task, sums in tasks})


def _paid(requests: Any, usd: Any, usd2: Any, expected_usd: Any) -> Paid:
    return Paid(int(requests), float(usd), float(usd2), float(expected_usd))


def hour(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp()) // HOUR_S

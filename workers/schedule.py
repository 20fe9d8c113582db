"""What beat sends, on one screen."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from celery.schedules import schedstate, schedule

from app.broker import CONTROL, INGEST_EVERY_S, ROLL_UP
from app.domain.policy import RetentionPolicy, RoundPolicy


class EpochAligned(schedule):
    """Due once in each slot of `interval_s` seconds since the epoch: 3600 is every full hour UTC, whatever the DST."""

    def __init__(self, interval_s: int, **options: Any) -> None:
        super().__init__(run_every=timedelta(seconds=interval_s), **options)
        self.interval_s = interval_s

    def is_due(self, last_run_at: datetime) -> tuple[bool, float]:
        """Due if the last run was in an earlier slot; in any case the seconds until the next slot begins."""
        now = self.now().timestamp()
        wait_s = self.interval_s - now % self.interval_s
        due = last_run_at.timestamp() // self.interval_s < now // self.interval_s
        return schedstate(is_due=due, next=wait_s)

    def __reduce__(self) -> tuple[type, tuple[int]]:
        return type(self), (self.interval_s,)


def beat_schedule(policy: RoundPolicy, retention: RetentionPolicy) -> dict[str, dict[str, Any]]:
    """None expires: beat would write by its clock when, and a worker decide by its own. Those that have piled up while
    workers were away are passed over one by one (workers.tasks)."""
    return {
        "start the slot's round": {
            "task": "tooloo.start_slot",
            "schedule": EpochAligned(policy.interval_s),
            "options": {"queue": CONTROL},
        },
        "take in live outcomes": {
            "task": "tooloo.ingest",
            "schedule": timedelta(seconds=INGEST_EVERY_S),
            "options": {"queue": CONTROL},
        },
        "reap": {
            "task": "tooloo.reap",
            "schedule": timedelta(seconds=policy.reap_every_s),
            "options": {"queue": CONTROL},
        },
        "forget what is old": {
            "task": "tooloo.retain",
            "schedule": timedelta(seconds=retention.every_s),
            "options": {"queue": CONTROL},
        },
        "roll up": {
            "task": ROLL_UP,
            "schedule": timedelta(seconds=retention.roll_up_every_s),
            "options": {"queue": CONTROL},
        },
    }

from __future__ import annotations

import pickle
from datetime import UTC, datetime

import pytest

from app.domain.policy import RetentionPolicy, RoundPolicy
from tests.support.system import System
from workers import tasks
from workers.schedule import EpochAligned, beat_schedule


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("last_run", "now", "due", "wait_s"),
    [
        ("2026-03-29T00:00:00", "2026-03-29T00:59:59", False, 1),
        ("2026-03-29T00:00:00", "2026-03-29T01:00:00", True, 3600),
        # European clocks jump from 02:00 to 03:00 here; slots are UTC and do not
        ("2026-03-29T01:00:00", "2026-03-29T02:00:00", True, 3600),
        ("2026-03-29T01:00:01", "2026-03-29T01:00:02", False, 3598),
        # beat was away for two slots: it starts the present one, once
        ("2026-03-29T01:00:00", "2026-03-29T03:30:00", True, 1800),
    ],
)
def test_a_slot_is_due_once(last_run: str, now: str, due: bool, wait_s: float) -> None:
    hourly = EpochAligned(3600, nowfun=lambda: at(now))

    assert hourly.is_due(at(last_run)) == (due, wait_s)


def test_every_hour_of_a_day_is_due_once_also_when_clocks_change() -> None:
    day = [datetime(2026, 10, 25, hour, minute, tzinfo=UTC) for hour in range(24) for minute in range(60)]
    last_run, starts = datetime(2026, 10, 24, 23, 0, tzinfo=UTC), 0
    for now in day:
        if EpochAligned(3600, nowfun=lambda now=now: now).is_due(last_run).is_due:
            last_run, starts = now, starts + 1

    assert starts == 24


def test_beat_can_keep_the_schedule_in_its_file() -> None:
    assert pickle.loads(pickle.dumps(EpochAligned(300))).interval_s == 300  # noqa: S301 - our own bytes


def test_no_message_lives_or_dies_by_the_clocks_of_two_hosts() -> None:
    for entry in beat_schedule(RoundPolicy(), RetentionPolicy()).values():
        assert entry["options"] == {"queue": "control"}


def test_of_a_hundred_messages_that_piled_up_one_is_worked_on(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(tasks, "_received", [system.services])
    monkeypatch.setattr("workers.tasks.reaper.reap", lambda _: done.append("reap"))
    monkeypatch.setattr("workers.tasks.rolling.roll_up", lambda *_, **asked: done.append(f"roll up {asked['asked']}"))
    for _ in range(100):
        tasks.reap()
        tasks.roll_up()
    tasks.roll_up("asked")  # by a run that left some: not by beat

    assert done == ["reap", "roll up False", "roll up True"]
    assert system.services.redis.pttl("tooloo:beat:reap") <= RoundPolicy().reap_every_s * 500

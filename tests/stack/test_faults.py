"""What a running stack survives without a hand from outside."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.stack import Stack, stack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.faults, pytest.mark.timeout(300)]

#: short leases and a busy reaper, so that what takes minutes in production takes seconds here
FAST = {"interval_s": 4, "reap_every_s": 2, "lease_margin_s": 1}


def finished(running: Stack) -> dict[str, Any]:
    history = running.get("/api/v1/system/benchmark-results?limit=100")["history"]
    return {each["id"]: each for each in history}


def test_beat_starts_a_round_in_every_slot(tmp_path: Path) -> None:
    with stack(tmp_path, policy=FAST) as running:

        def scheduled() -> list[int]:
            return sorted(each["timestamp"] for each in finished(running).values() if each["trigger"] == "schedule")

        starts = wait_until(lambda: scheduled() if len(scheduled()) >= 3 else None, 60, "three scheduled rounds")

    slots = [start // (FAST["interval_s"] * 1000) for start in starts]
    assert len(set(slots)) == len(slots)


def test_a_round_survives_the_death_of_a_worker(tmp_path: Path) -> None:
    with stack(tmp_path, policy={**FAST, "interval_s": 3600}) as running:
        wait_until(lambda: finished(running), 60, "the first round")
        for name in ("deepseek", "gemini", "anthropic", "openai"):
            running.post("/api/v1/system/runtime-config", {"providers": {name: {"timeout": 3000}}})
            running.tooloo("lab", "set", name, "latency=1000", "error_rate=0")
        round_id = running.tooloo("benchmark", "--beside")["roundId"]
        wait_until(lambda: running.get(f"/api/v1/system/benchmarks/{round_id}")["done"] >= 4, 30, "four probes")

        victim = running.pids("worker --queues probes")[0]
        os.kill(victim, signal.SIGKILL)

        ended = wait_until(lambda: finished(running).get(round_id), 90, "the round after its worker's death")
        assert ended["status"] == "done"
        assert (ended["summary"]["providersAttempted"], ended["summary"]["successCount"]) == (40, 40)
        assert "was ended by SIGKILL; " in running.printed()  # … and what is done about it


def test_data_is_kept_over_a_restart(tmp_path: Path) -> None:
    with stack(tmp_path) as running:
        wait_until(lambda: finished(running), 60, "the first round")
        running.tooloo("config", "set", "explorationRate=0.07", "--reason", "a test")
        before = finished(running)
        version = running.get("/api/v1/system/runtime-config")["version"]

    with stack(tmp_path) as running:
        assert set(before) <= set(finished(running))
        assert int(running.get("/api/v1/system/runtime-config")["version"]) >= int(version)
        assert running.get("/api/v1/system/runtime-config")["providers"]["deepseek"]["priority"] == 1

"""What ends is started again, for ever."""

from __future__ import annotations

from pathlib import Path

import pytest
from supervisor.states import ProcessStates

from app.cli.supervise import MISSING_FILE, PacedProcess, pause_s
from app.operations import processes
from app.operations.processes import Missing
from tests.support.commands import running

PROGRAM = """
import sys
from pathlib import Path
from app.cli import supervise
from app.cli.prefixed import PrefixedLines
children = [supervise.Child(name="api", command=[sys.executable, "-c", "raise SystemExit(3)"])]
supervise.run(children, Path(sys.argv[1]), PrefixedLines(["api"], sys.stdout))
"""


def test_pauses_grow_to_a_minute_and_no_further() -> None:
    assert [pause_s(ends) for ends in (1, 2, 3, 4, 5, 6, 7, 8, 10_000)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize("ends", [1, 2, 3, 7, 59, 10_000])
def test_a_pause_lasts_as_long_as_was_said_and_no_longer_where_the_clock_is_set_back(ends: int) -> None:
    process = PacedProcess(None)
    process.state, process.backoff, process.delay = ProcessStates.BACKOFF, ends, 1000.0 + pause_s(ends)

    process._check_and_adjust_for_system_clock_rollback(1000.01)
    assert process.delay == 1000.0 + pause_s(ends)

    process._check_and_adjust_for_system_clock_rollback(400.0)
    assert process.delay == 400.0 + pause_s(ends)


def test_a_process_that_always_ends_at_once_is_never_given_up(tmp_path: Path) -> None:
    with running(["-c", PROGRAM, str(tmp_path)], {"TOOLOO_DATA_DIR": str(tmp_path)}) as stack:
        stack.says("5 times at once; trying again in 16 s", timeout_s=60)
        found = processes.read(tmp_path / MISSING_FILE)

    assert "given up" not in stack.output
    assert [name for name, _ in found.absent] == ["api"]
    absent = found.absent[0][1]
    assert absent.next_s is not None
    assert processes.state(found, absent.next_s - 9).endswith(" s, ended with exit code 3, next try in 9 s")


def test_the_next_try_is_told_until_it_is_made(tmp_path: Path) -> None:
    file = tmp_path / "missing.json"
    missing = Missing(file, ["api"])
    missing.ended("api", "ended with exit code 1", 100.0, 132.0)

    def told(now_s: float) -> str:
        return processes.state(processes.read(file), now_s).rsplit(", ", 1)[1]

    assert told(110.0) == "next try in 22 s"
    assert told(132.5) == "next try now"
    assert told(-4000.0) == "next try in 60 s"  # the clock was set back: a pause is no longer for it
    missing.started("api")
    assert processes.state(processes.read(file), 133.0).endswith("ended with exit code 1, started again, not up yet")


def test_what_is_back_is_no_longer_missing(tmp_path: Path) -> None:
    file = tmp_path / "missing.json"
    missing = Missing(file, ["api", "control"])
    missing.ended("api", "ended with exit code 1", 100.0)
    missing.ended("api", "ended with exit code 1", 101.0)

    assert processes.state(processes.read(file), 110.0).startswith("api: missing for 10 s")
    assert missing.returned("api")
    assert processes.state(processes.read(file), 120.0) == "ok"
    assert processes.read(file).names == ("api", "control")


def test_without_a_supervisor_nothing_is_said(tmp_path: Path) -> None:
    assert processes.state(processes.read(None), 0.0) == "ok"
    assert processes.state(processes.read(tmp_path / "none.json"), 0.0) == "ok"

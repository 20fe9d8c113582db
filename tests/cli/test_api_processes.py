"""`tooloo api` keeps its sockets and watches its processes: a frozen one is replaced, a restart refuses nobody."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.cli.api_watchdog import SILENT_LOOKS, Watchdog
from app.operations import beating, listening
from app.operations.started import FOLDER
from tests.support.ports import free_port


@dataclass
class Process:
    """Of which a test says whether it beats."""

    pid: int
    killed: int = 0

    def kill(self) -> None:
        self.killed += 1


def beat(folder: Path, pid: int, number: int) -> None:
    file = folder / f"beat-{pid}"
    file.touch()
    os.utime(file, ns=(number, number))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    return tmp_path


def test_a_process_that_beats_no_more_is_ended_once_and_no_other(folder: Path) -> None:
    frozen, lives, starts = Process(11), Process(12), Process(13)
    watchdog = Watchdog(lambda: [frozen, lives, starts])
    beat(folder, 11, 1)
    for look in range(2 * SILENT_LOOKS):
        beat(folder, 12, look)
        watchdog.look()

    assert (frozen.killed, lives.killed, starts.killed) == (1, 0, 0)


def test_a_beat_in_time_is_enough_and_who_is_gone_is_forgotten(folder: Path) -> None:
    processes = [Process(11)]
    watchdog = Watchdog(lambda: processes)
    for number in range(3):
        beat(folder, 11, number)
        for _ in range(SILENT_LOOKS):
            watchdog.look()
    assert processes[0].killed == 0

    processes.clear()
    watchdog.look()
    assert beating.latest(11) is None


#: opens sockets, and becomes the program that serves on them
GIVE = """
import os, sys
from app.operations import listening
sockets = listening.opened("127.0.0.1", {port}, {count})
os.execve(sys.executable, [sys.executable, "-c", sys.argv[1]], listening.hand_over(sockets, os.environ))
"""
TAKE = """
import os
from app.operations import listening
print(*(sock.getsockname()[1] for sock in listening.handed_over(os.environ)), "LISTEN_FDS" in os.environ)
print(*listening.handed_over(os.environ))
"""


@pytest.mark.parametrize("count", [1, 3])
def test_sockets_are_handed_over_to_the_next_program_and_only_once(count: int) -> None:
    port = free_port()
    give = [sys.executable, "-c", GIVE.format(port=port, count=count), TAKE]
    found = subprocess.run(give, capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.splitlines() == [" ".join([*[str(port)] * count, "False"]), ""]


def test_sockets_for_another_process_are_not_taken() -> None:
    assert listening.handed_over({"LISTEN_FDS": "1", "LISTEN_PID": "1"}) == []
    assert listening.handed_over({}) == []


def test_one_that_cannot_be_opened_leaves_none_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        listening.opened("127.0.0.1", taken.getsockname()[1], 2)

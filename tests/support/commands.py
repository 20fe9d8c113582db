"""Commands as a user runs them: processes of their own, whose output a test can wait for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from app.cli import orphans
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]

#: variables that would lead a command of a test to somebody's real settings
_FOREIGN = ("TOOLOO_", "DATABASE_URL", "REDIS_URL", "PG")


def environment(changes: Mapping[str, str]) -> dict[str, str]:
    """Ours without settings and provider keys, with `changes`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {name: value for name, value in kept.items() if not name.endswith("_API_KEY")} | dict(changes)


class Running:
    """A command that runs; `output` grows while it does."""

    def __init__(self, arguments: Sequence[str], changes: Mapping[str, str], cwd: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=cwd,
            env=environment(changes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._chunks: list[bytes] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def output(self) -> str:
        return b"".join(self._chunks).decode()

    def says(self, text: str, timeout_s: float = 60.0, times: int = 1) -> str:
        """The first line with `text`, once there are as many as `times`."""

        def enough() -> bool:
            assert self.process.poll() is None or self.output.count(text) >= times, self.output
            return self.output.count(text) >= times

        wait_until(enough, timeout_s, what=f"{text!r} in:\n{self.output}")
        return next(line for line in self.output.splitlines() if text in line)

    def send(self, sig: signal.Signals) -> None:
        self.process.send_signal(sig)

    def wait(self, timeout_s: float = 20.0) -> int:
        """The exit code, with all output read."""
        code = self.process.wait(timeout_s)
        self._reader.join(timeout_s)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as pipe:
            while chunk := os.read(pipe.fileno(), 65_536):
                self._chunks.append(chunk)


@contextmanager
def running(arguments: Sequence[str], changes: Mapping[str, str], cwd: Path = ROOT) -> Iterator[Running]:
    """Run it; at the end it is killed if it still runs, and so is all that it left on its data folder."""
    command = Running(arguments, changes, cwd)
    try:
        yield command
    finally:
        if command.process.poll() is None:
            command.process.kill()
        if "TOOLOO_DATA_DIR" in changes:
            orphans.end(orphans.leftovers(Path(changes["TOOLOO_DATA_DIR"])), patience_s=5)
        command.wait()


def serving(pid: int) -> set[int]:
    """The API processes of a `tooloo api`."""
    found = set()
    for each in psutil.Process(pid).children():
        with suppress(psutil.NoSuchProcess):  # it has just ended
            if "resource_tracker" not in " ".join(each.cmdline()):
                found.add(each.pid)
    return found

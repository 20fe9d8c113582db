"""Ends API processes that have frozen, so that the server starts others in their place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from app.operations import beating

log = structlog.get_logger()

#: looks in a row, one per beat, without a beat. Looks, and not seconds: where this process was stopped, or the whole
#: machine, all begin anew
SILENT_LOOKS = 10


class Process(Protocol):
    """Of multiprocessing."""

    @property
    def pid(self) -> int | None: ...
    def kill(self) -> None: ...


@dataclass
class _Heard:
    beat: int
    silent_looks: int = 0


@dataclass
class Watchdog:
    """`processes`: those that serve now."""

    processes: Callable[[], Iterable[Process]]
    _heard: dict[int, _Heard] = field(default_factory=dict)

    def start(self) -> None:
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(beating.EVERY_S):
            self.look()

    def look(self) -> None:
        present = {process.pid: process for process in self.processes() if process.pid is not None}
        for pid in self._heard.keys() - present.keys():
            del self._heard[pid]
            beating.forget(pid)
        for pid, process in present.items():
            if (beat := beating.latest(pid)) is not None and self._is_frozen(pid, beat):
                log.error("an API process is frozen, another takes its place", pid=pid, silent_s=SILENT_LOOKS)
                process.kill()

    def _is_frozen(self, pid: int, beat: int) -> bool:
        heard = self._heard.get(pid)
        if heard is None or heard.beat != beat:
            self._heard[pid] = _Heard(beat)
            return False
        heard.silent_looks += 1
        return heard.silent_looks == SILENT_LOOKS

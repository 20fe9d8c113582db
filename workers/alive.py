"""A file that is touched while this process makes progress, for a health check that costs nothing.

`celery inspect ping` starts a Python, imports Celery and connects to Redis: 0.7 s of CPU per look; and beat answers it
from a thread of its own. The file says more: a worker touches it from its event loop with each heartbeat that it
sends, which begins when its services stand, and stops when Redis is lost or the loop hangs; beat touches it when Redis
has taken a message. What an earlier process left is removed first. A child of the pool that waits for PostgreSQL or
Redis leaves a mark beside the file: while there is one, the parent's heartbeat is no sign of progress.
"""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from celery.signals import after_task_publish, beat_init, heartbeat_sent

log = structlog.get_logger()

#: both signals come every second or two
TOUCH_EVERY_S = 5.0
#: between the file's name and the process id of a child that waits
_MARK = ".waits-"


class _Touch:
    """A receiver of signals that touches the file at most every TOUCH_EVERY_S."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._touched_s = -TOUCH_EVERY_S

    def __call__(self, **_: Any) -> None:
        now_s = time.monotonic()
        if now_s - self._touched_s < TOUCH_EVERY_S:
            return
        if _is_held_back(self._file):
            return
        self._touched_s = now_s
        try:
            self._file.touch()
        except OSError as error:
            log.error("alive file not touched", file=str(self._file), reason=str(error))


@contextmanager
def held_back(file: Path | None) -> Iterator[None]:
    """In a child of the pool: until this is left, its parent does not pass for alive."""
    if file is None:
        yield
        return
    mark = file.with_name(f"{file.name}{_MARK}{os.getpid()}")
    try:
        mark.touch()
    except OSError as error:
        log.error("alive file not held back", file=str(mark), reason=str(error))
    yield
    mark.unlink(missing_ok=True)  # not where the child ends instead: then it is dead, and the mark counts for nothing


def _is_held_back(file: Path) -> bool:
    """By a child that lives; what a dead one left is removed."""
    waiting = False
    for mark in file.parent.glob(f"{glob.escape(file.name)}{_MARK}*"):
        if _lives(mark.name.rpartition(_MARK)[2]):
            waiting = True
        else:
            mark.unlink(missing_ok=True)
    return waiting


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        pass
    return True


def keep(file: Path) -> None:
    """Touch `file` from now on, in whichever process of Celery this is."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        log.error("alive file of an earlier process not removed", file=str(file), reason=str(error))
    touch = _Touch(file)
    heartbeat_sent.connect(touch, weak=False)

    @beat_init.connect(weak=False)
    def _in_beat(**_: Any) -> None:
        after_task_publish.connect(touch, weak=False)

"""A file that is touched while this process makes progress, for a health check that costs nothing.

`celery inspect ping` starts a Python, imports Celery and connects to Redis: 0.7 s of CPU per look; and beat answers it
from a thread of its own. The file says more: a worker touches it from its event loop with each heartbeat that it
sends, which begins when its services stand, and stops when Redis is lost or the loop hangs; beat touches it when Redis
has taken a message. What an earlier process left is removed first.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import structlog
from celery.signals import after_task_publish, beat_init, heartbeat_sent

log = structlog.get_logger()

#: both signals come every second or two
TOUCH_EVERY_S = 5.0


class _Touch:
    """A receiver of signals that touches the file at most every TOUCH_EVERY_S."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._touched_s = -TOUCH_EVERY_S

    def __call__(self, **_: Any) -> None:
        now_s = time.monotonic()
        if now_s - self._touched_s < TOUCH_EVERY_S:
            return
        self._touched_s = now_s
        try:
            self._file.touch()
        except OSError as error:
            log.error("alive file not touched", file=str(self._file), reason=str(error))


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

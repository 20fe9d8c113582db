"""An API process says that it can serve, so that a reload ends the old one no sooner.

The server waits a fixed time for a new process, which a slow start outlasts: connections were refused then.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

#: names the folder that the API processes of one `tooloo api` share
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
#: s after which a process that has not said so is no longer waited for
PATIENCE_S = 60.0


def say() -> None:
    """Called in the process itself; nothing where nobody waits."""
    if (folder := os.environ.get(FOLDER)) is not None:
        _file(folder, os.getpid()).touch()


def wait(pid: int, is_alive: Callable[[], bool]) -> bool:
    """Until the process can serve; False where it ended, or took too long."""
    file, give_up_s = _file(os.environ[FOLDER], pid), time.monotonic() + PATIENCE_S
    while not file.exists():
        if not is_alive() or time.monotonic() > give_up_s:
            return False
        time.sleep(0.05)
    file.unlink()  # the number may be given again
    return True


def _file(folder: str, pid: int) -> Path:
    return Path(folder) / f"started-{pid}"

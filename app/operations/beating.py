"""An API process says every second that its event loop turns; who has heard nothing for long ends it.

A frozen process holds its connections and takes new ones: the kernel does not know. Like app.operations.started it
is told by a file in the folder that the API processes of one `tooloo api` share.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from app.operations.started import FOLDER

#: s between two beats
EVERY_S = 1.0


def begin(loop: asyncio.AbstractEventLoop) -> None:
    """In the process itself; nothing where nobody listens."""
    if (folder := os.environ.get(FOLDER)) is not None:
        _beat(loop, _file(folder, os.getpid()))


def _beat(loop: asyncio.AbstractEventLoop, file: Path) -> None:
    file.touch()
    loop.call_later(EVERY_S, _beat, loop, file)


def latest(pid: int) -> int | None:
    """Something that differs from beat to beat of this process; None: it has not begun."""
    try:
        return _file(os.environ[FOLDER], pid).stat().st_mtime_ns
    except FileNotFoundError:
        return None


def forget(pid: int) -> None:
    """Of a process that is gone: its number may be given again."""
    _file(os.environ[FOLDER], pid).unlink(missing_ok=True)


def _file(folder: str, pid: int) -> Path:
    return Path(folder) / f"beat-{pid}"

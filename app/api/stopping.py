"""Whether this process has been told to stop: what an open stream looks at, as the server waits for it else."""

from __future__ import annotations

import os
import signal
import threading

_told = threading.Event()


def is_stopping() -> bool:
    return _told.is_set()


def watch() -> None:
    """Notice SIGINT and SIGTERM beside the server's own handlers, which it sets later; call in the main thread."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_read, args=(reader,), name="stopping", daemon=True).start()


def _read(reader: int) -> None:
    while not {signal.SIGINT, signal.SIGTERM} & set(os.read(reader, 64)):
        pass
    _told.set()

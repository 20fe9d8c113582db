"""Whether this process has been told to stop: what an open stream looks at, as the server waits for it else."""

from __future__ import annotations

import os
import signal
import threading

_told = threading.Event()


def is_stopping() -> bool:
    return _told.is_set()


def watch() -> None:
    """Notice SIGINT and SIGTERM beside the handlers that the server has set; call in the main thread."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    servers = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_read, args=(reader, servers), name="stopping", daemon=True).start()


def _read(reader: int, servers: int) -> None:
    """The event loop learns of signals by the same way, so what comes is passed on to it."""
    while numbers := os.read(reader, 64):
        if {signal.SIGINT, signal.SIGTERM} & set(numbers):
            _told.set()
        if servers != -1:
            os.write(servers, numbers)

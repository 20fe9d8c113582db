"""A signal is heard at once by the library's loop."""

from __future__ import annotations

import os
import signal


class Wakeup:
    """Ends the library's wait at a signal, which it would sit out for up to a second (PEP 475)."""

    def __init__(self) -> None:
        self.fd, writer = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        os.read(self.fd, 4096)

"""Time to a fraction of a millisecond, on an event loop that other requests keep busy."""

from __future__ import annotations

import select
import selectors
import sys
import time


class PreciseSelector(selectors.DefaultSelector):
    """Waits exactly, and remembers when it woke.

    Linux' epoll waits whole milliseconds, rounded up; select() on its descriptor waits microseconds. And a handler
    starts only after every request that came in with its own has been read and begun, so its own clock says too late
    when the request came: it came before the wake-up in which it was read, the one before the present.
    """

    def __init__(self) -> None:
        super().__init__()
        self._woke_s = self._woke_before_s = time.monotonic()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if sys.platform == "linux" and timeout is not None and timeout > 0:
            select.select([self], [], [], timeout)
            timeout = 0
        events = super().select(timeout)
        self._woke_before_s, self._woke_s = self._woke_s, time.monotonic()
        return events

    def arrived_s(self) -> float:
        """When a request arrived whose handler begins now, by the clock of the loop."""
        return self._woke_before_s

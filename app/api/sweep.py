"""One timer for many things that are seldom due: setting and cancelling one for each costs more than most requests'
bodies take to read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Sweep:
    """Calls `look` every `every_s` in the event loop, with the loop's time, while it says that there is more to see."""

    def __init__(self, every_s: float, look: Callable[[float], bool]) -> None:
        self._every_s = every_s
        self._look = look
        self._is_set = False

    def need(self, loop: asyncio.AbstractEventLoop) -> None:
        """There is something to look at."""
        if not self._is_set:
            self._is_set = True
            loop.call_later(self._every_s, self._run, loop)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_set = False
        if self._look(loop.time()):
            self.need(loop)

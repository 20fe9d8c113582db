"""When a first call is late, and how many requests may ask a second target for it: the arithmetic of hedging.

Both change as they are used and know nothing of threads: app.gateway.hedging holds its lock over them.
"""

from __future__ import annotations

import math

#: latest observations of a target that its p95 is of: enough for a tail, few enough to follow a change
RING = 200
#: observations between two computations of it
EVERY = 10
#: what a quiet time may save up for a slow spell: second calls beyond the share of the moment
BURST = 10.0


class Tail:
    """The p95 of one target's latest times, in ms; None until there are `least` of them."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._ring: list[float] = []
        self._seen = 0
        self._p95: float | None = None
        self._computed_at = 0

    def note(self, took_ms: float) -> None:
        if len(self._ring) < RING:
            self._ring.append(took_ms)
        else:
            self._ring[self._seen % RING] = took_ms
        self._seen += 1

    def p95(self) -> float | None:
        """Nearest rank; at most EVERY observations old."""
        if self._seen < self._least:
            return None
        if self._p95 is None or self._seen - self._computed_at >= EVERY:
            self._p95 = sorted(self._ring)[math.ceil(0.95 * len(self._ring)) - 1]
            self._computed_at = self._seen
        return self._p95


class Share:
    """A token bucket that requests fill, not time: no more than `share` of them can take one."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._tokens = 0.0

    def count(self) -> bool:
        """One more request; is there a token now?"""
        self._tokens = min(BURST, self._tokens + self._share)
        return self._tokens >= 1

    def take(self) -> bool:
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def give_back(self) -> None:
        self._tokens += 1

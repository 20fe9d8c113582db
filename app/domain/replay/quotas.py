"""Targets that take so many requests per minute: beyond them comes a 429, and every answer says what is left."""

from __future__ import annotations

import math
from collections.abc import Mapping

from app.domain.replay.trace import RateLimit, Sample

#: how long a 429 takes
REFUSED_MS = 60.0


class Quotas:
    """A token bucket per target, which holds what a minute allows. Of one run: what was served fills it."""

    def __init__(self, per_minute: Mapping[str, int]) -> None:
        self._per_minute = per_minute
        #: tokens, and when they were counted
        self._buckets = {target: (float(limit), 0.0) for target, limit in per_minute.items()}

    def answer(self, target: str, at_s: float, sample: Sample) -> Sample:
        """What the call becomes: as it is, with its headers, or a 429."""
        limit = self._per_minute.get(target)
        if limit is None:
            return sample
        tokens, counted_s = self._buckets[target]
        a_second = limit / 60.0
        tokens = min(float(limit), tokens + (at_s - counted_s) * a_second)
        taken = tokens >= 1.0 - 1e-9
        tokens -= taken
        self._buckets[target] = (tokens, at_s)
        said = RateLimit(limit, max(0, math.floor(tokens + 1e-9)), (limit - tokens) / a_second)
        if taken:
            return sample._replace(quota=said)
        return Sample(REFUSED_MS, False, 0.0, 0.0, 0.0, True, (1.0 - tokens) / a_second, said)

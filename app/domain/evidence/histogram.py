"""Latencies counted in fixed buckets: histograms add up, whatever they are of, and give quantiles within 5 %.

A bucket is 10 % wide, and its middle (by ratio) stands for all that is in it: off by √1.1 at most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

#: upper end of a bucket to its lower one
GROWTH = 1.1
#: bucket 0 ends at 1·GROWTH ms, the last one takes all from there on: 19 minutes
LAST = 146
#: relative; of what `quantile` gives, between 1 ms and the last bucket
ERROR = GROWTH**0.5 - 1


def merged(histograms: Sequence[Mapping[str, int]]) -> dict[int, int]:
    """{bucket: calls} as PostgreSQL keeps them, added up."""
    if len(histograms) == 1:
        return {int(bucket): calls for bucket, calls in histograms[0].items()}
    total: Counter[str] = Counter()
    for histogram in histograms:
        total.update(histogram)
    return {int(bucket): calls for bucket, calls in total.items()}


def quantile(histogram: Mapping[int, int], share: float) -> float | None:
    """ms below which this share of the calls lies; None: there are none."""
    wanted = share * sum(histogram.values())
    seen = 0
    for bucket in sorted(histogram):
        seen += histogram[bucket]
        if seen >= wanted:
            return float(GROWTH ** (bucket + 0.5))
    return None

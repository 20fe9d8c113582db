"""Sums per hour, day or week, as the cells of a comparison.

What was too slow, Σ min(1, ms/ref), is made of every bucket's calls n and sum s: min(n, s/ref). That is exact but for
the one bucket in which the reference lies: 10 % wide, by its mean, it is off by 2.5 % of its own calls at most.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from app.domain.policy import Objective
from app.domain.replay.baseline_types import LiveCell, RoundCell, Sums

#: USD; where bucket 0 of costs begins
LEAST_USD = 1e-9


class DrawnSums(NamedTuple):
    """Of one step of time and target, as app.store.models.DrawnSum has it."""

    at: datetime
    target: str
    calls: int
    weight: float
    weight2: float
    successes: int
    weighted_successes: float
    unpriced: int
    latency: Mapping[str, Sequence[float]]
    cost: Mapping[str, Sequence[float]]


class ProbedSums(NamedTuple):
    """Of one step of time, target and prompt, as app.store.models.ProbedSum has it."""

    at: datetime
    target: str
    prompt: str
    calls: int
    successes: int
    unpriced: int
    graded: int
    quality: float
    latency: Mapping[str, Sequence[float]]
    cost: Mapping[str, Sequence[float]]


def live_cell(row: DrawnSums, block: int, objective: Objective) -> LiveCell:
    late, late_weighted, ms, ms_weighted = _drawn(row.latency.values(), objective.latency_ref_ms)
    dear, dear_weighted, usd, usd_weighted = _drawn(row.cost.values(), objective.cost_ref_usd)
    return LiveCell(
        block=block,
        target=row.target,
        calls=row.calls,
        weight=row.weight,
        weight2=row.weight2,
        plain=(ms, late, usd, dear, float(row.successes)),
        weighted=(ms_weighted, late_weighted, usd_weighted, dear_weighted, row.weighted_successes),
        latencies={int(bucket): (int(each[0]), each[1]) for bucket, each in row.latency.items()},
        unpriced=row.unpriced,
    )


def _drawn(buckets: Iterable[Sequence[float]], ref: float) -> tuple[float, float, float, float]:
    over = over_weighted = total = total_weighted = 0.0
    for calls, weight, value, weighted in buckets:
        total += value
        total_weighted += weighted
        over += min(calls, value / ref)
        over_weighted += min(weight, weighted / ref)
    return over, over_weighted, total, total_weighted


def round_cell(row: ProbedSums, block: int, objective: Objective) -> RoundCell:
    late, ms = _probed(row.latency.values(), objective.latency_ref_ms)
    dear, usd = _probed(row.cost.values(), objective.cost_ref_usd)
    sums = (ms, late, usd, dear, float(row.successes))
    return RoundCell(block, row.target, row.prompt, row.calls, sums, row.graded, row.quality, row.unpriced)


def _probed(buckets: Iterable[Sequence[float]], ref: float) -> tuple[float, float]:
    over = total = 0.0
    for calls, value in buckets:
        total += value
        over += min(calls, value / ref)
    return over, total


def regrouped(cells: Iterable[LiveCell], blocks: Mapping[int, int]) -> list[LiveCell]:
    """In fewer blocks: `blocks` says in which."""
    found: dict[tuple[int, str], list[LiveCell]] = defaultdict(list)
    for cell in cells:
        found[blocks[cell.block], cell.target].append(cell._replace(block=blocks[cell.block]))
    return [added(of) for of in found.values()]


def added(cells: Sequence[LiveCell]) -> LiveCell:
    """Of one block and target, as one."""
    latencies: dict[int, tuple[int, float]] = {}
    for cell in cells:
        for bucket, (calls, weight) in cell.latencies.items():
            held = latencies.get(bucket, (0, 0.0))
            latencies[bucket] = (held[0] + calls, held[1] + weight)
    return cells[0]._replace(
        calls=sum(cell.calls for cell in cells),
        weight=sum(cell.weight for cell in cells),
        weight2=sum(cell.weight2 for cell in cells),
        plain=_sums([cell.plain for cell in cells]),
        weighted=_sums([cell.weighted for cell in cells]),
        latencies=latencies,
        unpriced=sum(cell.unpriced for cell in cells),
    )


def _sums(of: Sequence[Sums]) -> Sums:
    a, b, c, d, e = (sum(column) for column in zip(*of, strict=True))
    return a, b, c, d, e

"""A trace in a few words, for tests of replay."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

HEADER: dict[str, Any] = {
    "format": "tooloo-trace/1",
    "name": "made",
    "seed": 0,
    "providers": ["a", "b"],
    "latencyRefMs": 1000.0,
    "costRefUsd": 0.006,
    "objective": {"latency": 0.4, "cost": 0.3},
    "roundIntervalS": 3600.0,
    "simulated": True,
    "changes": [],
}


def call(latency_ms: float, *, ok: bool = True, cost_usd: float = 0.001, quality: float = 1.0) -> list[float]:
    return [latency_ms, int(ok), cost_usd, quality, 20]


def round_row(at_s: float, calls: Mapping[str, list[float]], count: int = 10) -> dict[str, Any]:
    """A round of `count` equal calls per provider."""
    return {"t": at_s, "round": {name: [each] * count for name, each in calls.items()}}


def request_row(at_s: float, calls: Mapping[str, list[float]]) -> dict[str, Any]:
    """`expected` is what these calls are worth by the header's objective."""
    expected = {name: ok * quality - 0.4 * min(1, ms / 1000) - 0.3 * min(1, usd / 0.006)
                for name, (ms, ok, usd, quality, _) in calls.items()}  # fmt: skip
    return {"t": at_s, "request": dict(calls), "expected": expected}


def lines(rows: Iterable[Mapping[str, Any]], **header: Any) -> list[str]:
    return [json.dumps(row) + "\n" for row in ({**HEADER, **header}, *rows)]

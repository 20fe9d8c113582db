"""A trace small enough to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HEADER = {
    "format": "tooloo-trace/1",
    "name": "small",
    "seed": 0,
    "providers": ["azure.west", "groq"],
    "latencyRefMs": 1000.0,
    "costRefUsd": 0.006,
    "objective": {"latency": 0.4, "cost": 0.3},
    "roundIntervalS": 3600.0,
    "simulated": False,
    "changes": [],
}


def call(latency_ms: float, *, ok: bool = True, cost_usd: float = 0.001, quality: float = 1.0, tokens: int = 20) -> Any:
    return [latency_ms, int(ok), cost_usd, quality, tokens]


#: two rounds of 2 and 3 samples, and two requests after each
ROWS: list[dict[str, Any]] = [
    {"t": 100.0, "round": {"azure.west": [call(11), call(12)], "groq": [call(21), call(22, ok=False)]}},
    {"t": 100.0, "request": {"azure.west": call(13), "groq": call(23)}},
    {"t": 200.0, "request": {"azure.west": call(14, ok=False, cost_usd=0), "groq": call(24, quality=0.25, tokens=30)}},
    {"t": 300.0, "round": {"azure.west": [call(15), call(16), call(17)], "groq": [call(25)]}},
    {"t": 300.0, "request": {"azure.west": call(18), "groq": call(28)}},
    {"t": 400.0, "request": {"azure.west": call(19), "groq": call(29)}},
]


def lines(header: dict[str, Any] = HEADER, rows: list[dict[str, Any]] | None = None) -> str:
    return "\n".join(json.dumps(row) for row in [header, *(ROWS if rows is None else rows)]) + "\n"


def write(folder: Path, header: dict[str, Any] = HEADER, rows: list[dict[str, Any]] | None = None) -> Path:
    path = folder / "small.jsonl"
    path.write_text(lines(header, rows), encoding="utf-8")
    return path

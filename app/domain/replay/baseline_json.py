"""A baseline as the API has it."""

from __future__ import annotations

from typing import Any

from app.domain.replay.baseline_types import NOTHING, Baseline, Estimate, digits


def baseline_json(found: Baseline, requests: float) -> dict[str, Any]:
    """`requests`: how many there were, which what was saved is reckoned for."""
    return {
        "name": found.name,
        "target": found.target,
        "source": found.source,
        "effectiveCalls": round(found.effective_calls, 1),
        "coverage": round(found.coverage, 4),
        "values": {name: digits(value) for name, value in found.values.items()},
        "differences": {
            name: {**each.to_json(), "verdict": found.verdict(name)} for name, each in found.differences.items()
        },
        "saved": {
            "usd": _scaled(found.differences["costUsd"], -requests).to_json(),
            "hours": _scaled(found.differences["latencyMs"], -requests / 3_600_000).to_json(),
        },
    }


def _scaled(each: Estimate, factor: float) -> Estimate:
    if each.value is None or each.low is None or each.high is None:
        return NOTHING
    ends = sorted((each.low * factor, each.high * factor))
    return Estimate(each.value * factor, ends[0], ends[1])

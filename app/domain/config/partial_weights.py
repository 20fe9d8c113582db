"""Weights given in part: the named ones hold, the others share the rest in their present proportion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def completed(held: Mapping[str, float], value: Any) -> Any:
    """All weights, where some of those in `held` are given; anything else as it is, for the schema to judge."""
    if not isinstance(value, Mapping) or not value or not set(value) < set(held):
        return value
    given = dict(value)
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v <= 1 for v in given.values()):
        return value
    rest = 1.0 - sum(given.values())
    if rest < 0:
        return value
    others = {name: weight for name, weight in held.items() if name not in given}
    total = sum(others.values())
    shares = {name: rest * (weight / total if total else 1 / len(others)) for name, weight in others.items()}
    return {**given, **{name: round(share, 6) for name, share in shares.items()}}

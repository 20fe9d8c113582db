"""An insight: a sentence a person can read, with the numbers behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.catalog import Target


@dataclass(frozen=True, slots=True)
class Insight:
    """A sentence a person can read, with the numbers behind it."""

    kind: str
    text: str
    data: Mapping[str, Any]


class Names:
    """How people call a target: by its provider alone where that has one model."""

    def __init__(self, targets: Collection[Target]) -> None:
        self._models = Counter(target.provider for target in targets)

    def of(self, target: Target) -> str:
        return target.provider if self._models[target.provider] == 1 else str(target)

"""Names of what a round is made of."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.catalog import Target


@dataclass(frozen=True, slots=True, order=True)
class ProbeKey:
    """One prompt sent to one target in one round: the only thing a message about it says."""

    round_id: str
    provider: str
    model: str
    prompt_id: str

    @property
    def target(self) -> Target:
        return Target(self.provider, self.model)

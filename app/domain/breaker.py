"""The circuit breaker of one target: consecutive failures open it, one trial request closes it or opens it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from app.domain.policy import BreakerPolicy

State = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True)
class Breaker:
    #: consecutive failures so far
    failures: int = 0
    #: None: closed; past: half-open, the next request is its trial
    open_until: datetime | None = None
    #: error class that opened it
    reason: str = ""

    def allows(self, now: datetime) -> State:
        if self.open_until is None:
            return "closed"
        return "open" if now < self.open_until else "half_open"

    def after(
        self,
        success: bool,
        *,
        error_class: str | None,
        needs_person: bool,
        retry_after_s: float | None,
        now: datetime,
        policy: BreakerPolicy,
    ) -> Breaker:
        """After one more call. `retry_after_s` is the provider's own word, and is obeyed from the first failure on."""
        if success:
            return Breaker()
        failures = self.failures + 1
        open_s = retry_after_s or 0.0
        if needs_person:
            open_s = max(open_s, policy.needs_person_open_s)
        elif failures >= policy.failures:
            open_s = max(open_s, policy.open_s)
        if open_s <= 0:
            return Breaker(failures, self.open_until, self.reason)
        return Breaker(failures, now + timedelta(seconds=open_s), error_class or "failure")

    def to_json(self) -> dict[str, Any]:
        until = None if self.open_until is None else self.open_until.isoformat()
        return {"failures": self.failures, "open_until": until, "reason": self.reason}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Breaker:
        """Raises ValueError for what `to_json` did not write."""
        try:
            until = document["open_until"]
            return cls(
                int(document["failures"]),
                None if until is None else datetime.fromisoformat(until),
                str(document["reason"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a breaker: {error!r}") from None

"""The circuit breaker of one target: consecutive failures open it, one trial request closes it or opens it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
    opened_at: datetime | None = None
    #: when the outage began: what opened it first, of all that failed since the last success
    since: datetime | None = None

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
        """After one more call. `retry_after_s` is the provider's own word, and is obeyed from the first failure on.

        Trials are as far apart as the outage is old: with 15 s for the first, 15, 30, 60, 120 s after it opened.
        """
        if success:
            return Breaker()
        failures, since = self.failures + 1, self.since
        open_s = min(retry_after_s or 0.0, policy.retry_after_cap_s)
        if needs_person:
            open_s = max(open_s, policy.needs_person_open_s)
        elif failures >= policy.failures and self.allows(now) != "open":
            since = since or now
            age_s = (now - since).total_seconds()
            open_s = max(open_s, min(max(policy.open_s, age_s), policy.open_max_s))
        until = now + timedelta(seconds=open_s)
        if open_s <= 0 or (self.open_until is not None and until <= self.open_until):
            return replace(self, failures=failures)  # or the call was under way when it opened
        return Breaker(failures, until, error_class or "failure", now, since)

    def turn(self, after: Breaker, now: datetime) -> Turn | None:
        """What became of it by a call, where it opened or closed; a trial that failed is of the same outage."""
        if self.open_until is None and after.open_until is not None:
            return Turn("open", after.reason, after.failures, None)
        if self.open_until is not None and after.open_until is None:
            began = self.since or self.opened_at
            return Turn("closed", self.reason, self.failures, None if began is None else (now - began).total_seconds())
        return None

    def to_json(self) -> dict[str, Any]:
        return {
            "failures": self.failures,
            "open_until": None if self.open_until is None else self.open_until.isoformat(),
            "reason": self.reason,
            "opened_at": None if self.opened_at is None else self.opened_at.isoformat(),
            "since": None if self.since is None else self.since.isoformat(),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Breaker:
        """Raises ValueError for what `to_json` did not write."""
        try:
            return cls(
                int(document["failures"]),
                _time(document["open_until"]),
                str(document["reason"]),
                _time(document.get("opened_at")),
                _time(document.get("since")),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not a breaker: {error!r}") from None


@dataclass(frozen=True, slots=True)
class Turn:
    """A breaker that opened or closed."""

    state: Literal["open", "closed"]
    #: error class that opened it, and failures in a row until then
    reason: str
    failures: int
    #: of one that closed: how long it was out
    lasted_s: float | None


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)

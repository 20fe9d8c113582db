"""What a key may use: requests and tokens a minute, requests at once, money a day and a month, and which models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.domain.catalog import Target

#: money is counted in these: a call may cost less than a millionth of a dollar
NANOS = 1_000_000_000
MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Budget:
    """USD of a calendar day and month, as the clock of `zone` has them; None: no bound."""

    day_usd: float | None = None
    month_usd: float | None = None
    #: of the IANA database
    zone: str = "UTC"
    #: refused beyond it; else the answer warns
    hard: bool = True

    def to_json(self) -> dict[str, Any]:
        return {"dayUsd": self.day_usd, "monthUsd": self.month_usd, "zone": self.zone, "hard": self.hard}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        zone, hard = document.get("zone") or "UTC", document.get("hard", True)
        return cls(document.get("dayUsd"), document.get("monthUsd"), zone, hard)


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """None, and no models: no limit."""

    requests_per_minute: int | None = None
    #: of prompt and answer together
    tokens_per_minute: int | None = None
    #: requests at once, over all processes
    in_flight: int | None = None
    budget: Budget | None = None
    #: providers, models and PROVIDER/MODEL; nothing else is called for this key
    models: tuple[str, ...] = ()

    @property
    def counted(self) -> bool:
        """Is there anything to count? Which models it may use needs no count."""
        per_minute = self.requests_per_minute is not None or self.tokens_per_minute is not None
        return per_minute or self.in_flight is not None or self.budget is not None

    @property
    def by_size(self) -> bool:
        """Does it matter how large a request is?"""
        return self.tokens_per_minute is not None or self.budget is not None

    @property
    def priced(self) -> bool:
        """May only what has a price be called? Else the budget would hold nothing."""
        return self.budget is not None and self.budget.hard

    @property
    def zone(self) -> str:
        return "UTC" if self.budget is None else self.budget.zone

    def allow(self, target: Target) -> bool:
        return not self.models or not {target.provider, target.model, str(target)}.isdisjoint(self.models)

    def to_json(self) -> dict[str, Any]:
        return {
            "tokensPerMinute": self.tokens_per_minute,
            "inFlight": self.in_flight,
            "budget": None if self.budget is None else self.budget.to_json(),
            "models": list(self.models),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], requests_per_minute: int | None) -> Self:
        """An older release says less than this; what a newer one says besides is not known here."""
        budget = document.get("budget")
        return cls(
            requests_per_minute=requests_per_minute,
            tokens_per_minute=document.get("tokensPerMinute"),
            in_flight=document.get("inFlight"),
            budget=None if budget is None else Budget.from_json(budget),
            models=tuple(document.get("models") or ()),
        )


NO_LIMITS = KeyLimits()


@dataclass(frozen=True, slots=True)
class Period:
    """The day and the month that it is in a zone, and when they end there."""

    #: 2027-01-31, 2027-01
    day: str
    month: str
    day_ends: datetime
    month_ends: datetime


def zone_of(name: str) -> tzinfo:
    """Raises ValueError for a zone that is not in the IANA database of this machine."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder
        raise ValueError(f"{name!r} is no zone of the IANA database: such as Europe/Zurich, or UTC") from None


def period(zone: str, now: datetime) -> Period:
    """A midnight that clocks jump over comes when they jump."""
    local = now.astimezone(zone_of(zone)).date()
    return _period(zone, local.year, local.month, local.day)


@lru_cache(maxsize=200)
def _period(zone: str, year: int, month: int, day: int) -> Period:
    here = zone_of(zone)
    today = datetime(year, month, day, tzinfo=UTC).date()
    first = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    ends = [datetime.combine(at, time(), here).astimezone(UTC) for at in (today + timedelta(days=1), first)]
    return Period(today.isoformat(), today.isoformat()[:7], *ends)

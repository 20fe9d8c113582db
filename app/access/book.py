"""What one process knows of the use of a key: it goes by that while Redis is away, with what it counts itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from app.access.ledger import Days, Figures, hard
from app.domain.key_limits import MINUTE_S, NANOS, KeyLimits


@dataclass(frozen=True, slots=True)
class Used:
    """Requests and tokens more, or fewer, than were counted in a minute, and NANOS spent in a day of a month."""

    minute: int
    day: str
    month: str
    requests: int = 0
    tokens: int = 0
    nanos: int = 0


@dataclass(slots=True)
class Book:
    """Of one key. Money in NANOS."""

    #: as all processes had it, when this one last heard
    told: Figures | None = None
    told_days: Days = field(default_factory=lambda: Days("", ""))
    #: of this process: requests in flight, and what is reserved for them
    open: int = 0
    held: int = 0

    def tell(self, told: Figures, days: Days) -> None:
        self.told, self.told_days = told, days

    def known(self, elsewhere: Days) -> Days:
        """What is surely spent: by what was told here, and by what is read elsewhere of the same days."""
        day, month = elsewhere.day, elsewhere.month
        spent = (0, 0) if self.told is None else (self.told.day_spent, self.told.month_spent)
        mine_day = spent[0] if self.told_days.day == day else 0
        mine_month = spent[1] if self.told_days.month == month else 0
        return Days(day, month, max(mine_day, elsewhere.day_spent), max(mine_month, elsewhere.month_spent))

    def alone(self, days: Days, untold: Iterable[Used], now_s: float) -> Figures:
        """What is known here, with what all have not been told yet."""
        minute = int(now_s // MINUTE_S)
        requests = tokens = 0
        if self.told is not None and self.told.minute == minute:
            requests, tokens = self.told.requests, self.told.tokens
        day_spent, month_spent = days.day_spent, days.month_spent
        for each in untold:
            if each.minute == minute:
                requests, tokens = requests + each.requests, tokens + each.tokens
            day_spent += each.nanos if each.day == days.day else 0
            month_spent += each.nanos if each.month == days.month else 0
        left_s = MINUTE_S - now_s % MINUTE_S
        return Figures("", minute, left_s, requests, tokens, self.open, self.held, day_spent, month_spent)


def refusal(limits: KeyLimits, used: Figures, nanos: int, tokens: int) -> str:
    """One of ledger.REFUSALS, as its script has them."""
    if limits.requests_per_minute is not None and used.requests >= limits.requests_per_minute:
        return "requests"
    if limits.tokens_per_minute is not None and used.tokens + tokens > limits.tokens_per_minute:
        return "tokens"
    if limits.in_flight is not None and used.open >= limits.in_flight:
        return "in_flight"
    day_usd, month_usd = hard(limits)
    for name, most_usd, spent in (("day", day_usd, used.day_spent), ("month", month_usd, used.month_spent)):
        reserved = spent + used.held
        if most_usd is not None and (reserved >= most_usd * NANOS or reserved + nanos > most_usd * NANOS):
            return name
    return ""

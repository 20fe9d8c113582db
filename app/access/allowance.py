"""What one request of a key with limits may use, from when it is let in until its answer has been sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from app.access.ledger import Figures
from app.domain.key_limits import NANOS, KeyLimits, Period


@dataclass(frozen=True, slots=True)
class Spent:
    """Money in NANOS."""

    nanos: int = 0
    tokens: int = 0
    requests: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.nanos + other.nanos, self.tokens + other.tokens, self.requests + other.requests)


class Taking(Protocol):
    """app.access.allowances.Allowances."""

    def take(self, asked: Allowance, tokens: int, nanos: int) -> None: ...
    def end(self, asked: Allowance) -> None: ...


@dataclass(slots=True, eq=False)
class Allowance:
    """`close` it when its answer has been sent, whatever became of it."""

    key_id: str
    #: as its owner knows the key
    name: str
    limits: KeyLimits
    allowances: Taking
    #: what the key has used, as it was when this request was let in, or refused
    figures: Figures | None = None
    period: Period | None = None
    #: its name in the ledger; "" where that does not know of it
    hold: str = ""
    #: reserved
    nanos: int = 0
    tokens: int = 0
    #: in the end
    used: Spent = Spent()
    #: it was let in
    admitted: bool = False
    closed: bool = False

    def reserve(self, tokens: int, usd: float | None) -> None:
        """It may use so much at most. Raises TooManyRequests, BudgetSpent, InvalidRequest where that can never be."""
        if not self.admitted:
            self.allowances.take(self, tokens, round((usd or 0.0) * NANOS))

    def settle(self, tokens: int, usd: float | None) -> None:
        """It has used so much."""
        self.used = Spent(round((usd or 0.0) * NANOS), tokens, 1)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.allowances.end(self)

"""How much of a target may be used at the moment, so that it is filled up to its quota, and no further.

A 429 says how much is asked of a target, nothing of how good it is: it is no failure of the target's, and opens no
breaker. It empties the target until it may be asked again. What is allowed stands in app.domain.routing.allowance, per
target by its provider's headers, or learned where those say nothing; and per provider by what its block declares, for
all its models together. Spent is counted when it is sent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from app.domain.routing.allowance import PATIENCE, WINDOW_S, Learned, Ledger, Reading, Told, Window

REQUESTS, TOKENS, INPUT, OUTPUT = "requests", "tokens", "input_tokens", "output_tokens"
#: 429s in a row without an answer between them after which a target is left alone for PATIENCE requests …
STRIKES = 3
#: … or s
HOLD_S = 900.0
#: s that a target is left alone after a 429 that nothing explains, doubled with each further one
BACK_OFF_S, MOST_BACK_OFF_S = 1.0, 60.0
#: requests of a limit for each that is left for another process which sends at the same moment
ONE_SPARE_OF = 12
#: requests, or of its limit, that are little
MANY, SCARCE = 20.0, 0.2
#: of the tokens that answers take beside their prompts, the weight of the newest
NEWEST = 0.1


class Declared(NamedTuple):
    """Of a block of providers.toml; None: nothing is declared."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


class Shortage(NamedTuple):
    """Why a target should not be asked now, and for how long."""

    reason: str
    wait_s: float


@dataclass(slots=True)
class _Kind:
    """Of one kind of allowance."""

    ledger: Ledger = field(default_factory=Ledger)
    window: Window | None = None
    told: Told | None = None
    learned: Learned | None = None

    def sources(self) -> list[Window | Told | Learned]:
        return [each for each in (self.told, self.window, self.learned) if each is not None]


class Quota:
    """Of one target, or of all that a provider has under one key."""

    def __init__(self, declared: Declared | None = None, retry_after_cap_s: float = 3600.0) -> None:
        self.kinds: dict[str, _Kind] = {REQUESTS: _Kind()}
        self._cap_s = retry_after_cap_s
        for kind, limit in zip((REQUESTS, TOKENS), declared or (None, None), strict=True):
            if limit is not None:
                self.kinds.setdefault(kind, _Kind()).window = Window(float(limit))
        #: what answers take beside their prompts
        self._answer_tokens = 0.0
        self.blocked_until_s = -math.inf
        #: until when those are awaited for whom the next requests are kept
        self.reserved: list[float] = []
        self.limited_s = -math.inf
        #: the latest 429, and what was served in the window before those of late
        self._refused_s, self._count = -math.inf, 0.0
        self.strikes = 0
        #: requests that have to want it before it is asked again
        self._hold = 0.0

    @property
    def is_limited(self) -> bool:
        """Is anything known that could say no?"""
        if self.strikes or self.blocked_until_s > -math.inf:
            return True
        for each in self.kinds.values():
            if each.told is not None or each.window is not None or each.learned is not None:
                return True
        return False

    def shortage(
        self, now_s: float, prompt_tokens: float, *, reserved: bool = False, beside: int = 0
    ) -> Shortage | None:
        """None: a request may be sent. What is `reserved` is for those who have said so before.

        As many others, `beside` us, see the same room at the same moment, and each may send one.
        """
        self.reserved = [until_s for until_s in self.reserved if until_s > now_s] if self.reserved else self.reserved
        if now_s < self.blocked_until_s:
            wait_s = self.blocked_until_s - now_s
            return Shortage(f"quota: it asked us to wait for {_span(wait_s)} more", wait_s)
        if self._hold > 0 and now_s < self.limited_s + HOLD_S:
            wait_s = self.limited_s + HOLD_S - now_s
            return Shortage(f"quota: {self.strikes} 429s in a row, left alone for {_span(wait_s)}", wait_s)
        found: Shortage | None = None
        for kind, known in self.kinds.items():
            amount = self._amount(kind, prompt_tokens)
            for source in known.sources():
                spare = min(beside, _limit(source) // ONE_SPARE_OF) if kind == REQUESTS else 0
                wait_s = source.wait_s(known.ledger, now_s, amount + spare)
                if wait_s > 0 and (found is None or wait_s > found.wait_s):
                    found = Shortage(_said(kind, source, known.ledger, now_s, wait_s), wait_s)
        return found if found is not None or reserved or not self.reserved else self._kept(now_s)

    def _kept(self, now_s: float) -> Shortage | None:
        """For those who have reserved what is left."""
        known = self.kinds[REQUESTS]
        left = min((source.left(known.ledger, now_s) for source in known.sources()), default=math.inf)
        if left >= 1 + len(self.reserved):
            return None
        wait_s = min(self.reserved) - now_s
        return Shortage(f"quota: what is left is kept for a benchmark, for {_span(wait_s)} at most", wait_s)

    def left(self, now_s: float) -> dict[str, dict[str, int | None]]:
        """By kind what is left, and of how much, where that is known: the scarcest source."""
        found: dict[str, dict[str, int | None]] = {}
        for kind, known in self.kinds.items():
            figures = [(max(0.0, each.left(known.ledger, now_s)), _limit(each)) for each in known.sources()]
            left, most = min(figures, default=(math.inf, math.inf))
            if left < math.inf:
                found[kind] = {"left": int(left), "of": int(most) if most < math.inf else None}
        return found

    def wanted(self) -> None:
        """A request would go to it first, whether it may or not."""
        self._hold -= self._hold > 0
        learned = self.kinds[REQUESTS].learned
        if learned is not None and learned.owed > 0:
            learned.owed -= 1

    def spend(self, at_s: float, prompt_tokens: float, requests: float = 1.0) -> None:
        for kind, known in self.kinds.items():
            known.ledger.add(at_s, requests * self._amount(kind, prompt_tokens))

    def _amount(self, kind: str, prompt_tokens: float) -> float:
        kind = kind.partition(" ")[0]
        if kind == REQUESTS:
            return 1.0
        return (0.0 if kind == OUTPUT else prompt_tokens) + (0.0 if kind == INPUT else self._answer_tokens)

    def used(self, now_s: float, expected: float, prompt: float, completion: float) -> None:
        """The tokens of an answer, where `expected` was spent for its prompt."""
        for kind, known in self.kinds.items():
            kind = kind.partition(" ")[0]
            if kind != REQUESTS:
                actual = (0.0 if kind == OUTPUT else prompt) + (0.0 if kind == INPUT else completion)
                known.ledger.add(now_s, actual - self._amount(kind, expected))
        self._answer_tokens += NEWEST * (completion - self._answer_tokens)

    def read(self, readings: Iterable[Reading], sent_s: float, now_s: float) -> None:
        for reading in readings:
            known = self.kinds.setdefault(reading.kind, _Kind())
            if known.told is None:
                known.told = Told.first(reading, sent_s, now_s)
            else:
                known.told.read(reading, known.ledger, sent_s, now_s)

    def is_scarce(self, now_s: float) -> bool:
        """Is so little left that others should hear of each request?"""
        for known in self.kinds.values():
            for source in known.sources():
                limit = _limit(source)
                if source.left(known.ledger, now_s) <= max(MANY, SCARCE * limit):
                    return True
        return False

    def served(self, sent_s: float) -> None:
        """An answer came, to a request that was sent then."""
        if sent_s > self.limited_s:
            self.strikes, self._hold = 0, 0.0
        known = self.kinds[REQUESTS]
        if known.learned is not None:
            known.learned.served(known.ledger, sent_s)

    def limited(
        self,
        sent_s: float,
        now_s: float,
        retry_after_s: float | None,
        readings: Sequence[Reading] = (),
        prompt_tokens: float = 0.0,
    ) -> None:
        """A 429 came. What was under way when the first of them came tells nothing new but that it failed too."""
        known = self.kinds[REQUESTS]
        count = known.ledger.between(sent_s - WINDOW_S, sent_s) - 1.0
        for kind, each in self.kinds.items():  # it was not served
            each.ledger.add(now_s, -self._amount(kind, prompt_tokens))
        readings = [each if each.reset_s is not None else each._replace(reset_s=retry_after_s) for each in readings]
        explained = self._explains(readings, sent_s, now_s, prompt_tokens)
        alone = now_s - max(self._refused_s, self.blocked_until_s) > WINDOW_S
        if retry_after_s is not None:
            until_s = now_s + min(retry_after_s, self._cap_s)
            self.blocked_until_s = max(self.blocked_until_s, until_s)
        self._refused_s, self._count = now_s, count if alone else min(count, self._count)
        under_way = sent_s <= self.limited_s
        if under_way and known.learned is not None:
            known.learned.owed += PATIENCE
            return
        if not under_way:
            self.strikes, self.limited_s = self.strikes + 1, now_s
            self._hold = PATIENCE if self.strikes >= STRIKES else self._hold
        if not explained:
            self._learn(known, now_s, retry_after_s, alone=alone)

    def _explains(self, readings: Sequence[Reading], sent_s: float, now_s: float, prompt_tokens: float) -> bool:
        """Do the headers say, now or before, that there was too little left?"""
        ran_out = any(
            known.told is not None
            and known.told.left(known.ledger, now_s) < max(1.0, self._amount(kind, prompt_tokens))
            for kind, known in self.kinds.items()
        )
        for known in self.kinds.values():
            if known.told is not None and not ran_out:
                known.told.contradicted()
        self.read(readings, sent_s, now_s)
        return ran_out or any(each.remaining < max(1.0, self._amount(each.kind, prompt_tokens)) for each in readings)

    def _learn(self, known: _Kind, now_s: float, retry_after_s: float | None, *, alone: bool) -> None:
        """One that comes alone may be an accident, and teaches nothing yet."""
        if known.learned is not None:
            known.learned.refused(max(0.0, self._count))
        elif not alone:
            known.learned = Learned(max(1.0, self._count))
        if retry_after_s is None and (known.learned is None or self._count < known.learned.limit):
            wait_s = min(MOST_BACK_OFF_S, BACK_OFF_S * 2 ** min(self.strikes - 1, 10))
            self.blocked_until_s = max(self.blocked_until_s, now_s + wait_s)


def _limit(source: Window | Told | Learned) -> float:
    return source.allowed if isinstance(source, Learned) else source.limit


def _said(kind: str, source: Window | Told | Learned, ledger: Ledger, now_s: float, wait_s: float) -> str:
    left = max(0.0, source.left(ledger, now_s))
    most = "" if _limit(source) == math.inf else f"of {_limit(source):.0f} "
    return f"quota: {left:.0f} {most}{kind.replace('_', ' ')} left for {_span(wait_s)}"


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"

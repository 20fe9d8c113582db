"""What one target may be asked of one kind (requests, or tokens): three sources, each of which has to agree.

- `Told`: the provider's headers. Its own `remaining` counts every consumer of the key, so it is the truth at the moment
  the request was sent; since then we subtract what we have sent. Until `reset` nothing is taken to come back, unless it
  was seen to: OpenAI and Anthropic fill a bucket continuously, which is the Generic Cell Rate Algorithm in its
  continuous-state form (ITU-T I.371, annex A), others begin a new window. A bucket that is waited for until it is full
  gives on average what one gives that is emptied drop by drop, so to take the one for the other costs nothing.
- `Window`: a declared number in any window of that length. A sliding window never breaks a fixed one, nor a bucket.
- `Learned`: the number that was served in the window before a 429, which is then filled and probed upwards; additive
  increase and multiplicative decrease (Chiu and Jain 1989), with the factor .7 of CUBIC (RFC 9438) and its doubling
  steps while there is room. An increase is paid for in failures, so it waits for PATIENCE requests per failure.

Times are seconds since the epoch.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

#: s; of a limit of which nobody says how long its window is
WINDOW_S = 60.0
#: of a window, held back: requests arrive less evenly than they are sent
MARGIN = 0.01
#: requests that want the target, for each one that a limit has cost: at most one in as many fails by probing
PATIENCE = 200.0
#: … times this at most, after probes that failed in a row
MOST_PATIENCE = 16
#: windows in which more than the learned number was served, until that is the number
PROOF = 3
#: of a learned number that is left at least, after a failure below it
DECREASE = 0.7
#: entries of a ledger before those closer than TICK of the window are one
EXACT, TICK = 1000, 1 / 2000


class Reading(NamedTuple):
    """What a response's headers say of one kind."""

    #: requests, tokens, input_tokens, output_tokens; behind it " a day" or so, where that is not a minute
    kind: str
    remaining: float
    limit: float | None = None
    #: s until all of it is back
    reset_s: float | None = None
    #: s, where the headers say it
    window_s: float | None = None


class Ledger:
    """What was spent, in order of time, as far back as a window."""

    def __init__(self, keep_s: float = WINDOW_S * (1 + MARGIN)) -> None:
        self.keep_s = keep_s
        self._times: list[float] = []
        #: spent until then
        self._totals: list[float] = []
        #: spent before the oldest entry
        self._before = 0.0

    @property
    def total(self) -> float:
        return self._totals[-1] if self._totals else self._before

    def add(self, at_s: float, amount: float) -> None:
        """What is told late counts from the latest entry on."""
        times, totals = self._times, self._totals
        at_s = max(at_s, times[-1]) if times else at_s
        if len(times) > EXACT and at_s - times[-1] < self.keep_s * TICK:
            totals[-1] += amount
            return
        times.append(at_s)
        totals.append(self.total + amount)
        if len(times) % EXACT == 0:
            old = bisect_right(times, at_s - self.keep_s) - 1
            if old > 0:
                self._before = totals[old - 1]
                del times[:old], totals[:old]

    def until(self, at_s: float) -> float:
        place = bisect_right(self._times, at_s)
        return self._totals[place - 1] if place else self._before

    def since(self, at_s: float) -> float:
        """Behind that moment."""
        times = self._times
        return 0.0 if not times or times[-1] <= at_s else self.total - self.until(at_s)

    def between(self, from_s: float, to_s: float) -> float:
        """Behind the one, up to the other."""
        return self.until(to_s) - self.until(from_s)

    def falls_to(self, most: float, window_s: float) -> float:
        """When no more than this was spent within the window, if nothing more is; -inf where that is so already."""
        wanted = self.total - most
        if wanted <= 0 or not self._times:
            return -math.inf
        place = min(bisect_left(self._totals, wanted - 1e-9), len(self._times) - 1)
        return self._times[place] + window_s


@dataclass(slots=True)
class Window:
    """So much in any `window_s`; nothing but a person changes it."""

    limit: float
    window_s: float = WINDOW_S

    def left(self, ledger: Ledger, now_s: float) -> float:
        return self.limit - ledger.since(now_s - self.window_s * (1 + MARGIN))

    def wait_s(self, ledger: Ledger, now_s: float, amount: float) -> float:
        amount = min(amount, self.limit)
        if self.left(ledger, now_s) >= amount:
            return 0.0
        return max(0.0, ledger.falls_to(self.limit - amount, self.window_s * (1 + MARGIN)) - now_s)


@dataclass(slots=True)
class Told:
    """The latest word of the provider's headers."""

    #: infinite: they do not say
    limit: float
    remaining: float
    #: when the request was sent that brought it, and when it came
    sent_s: float
    read_s: float
    reset_at_s: float
    #: s in which all of an empty bucket comes back; the longest of late: of little that is missing it is told badly
    window_s: float
    #: the first word since all was back, to see whether some of it comes back before its reset
    anchor: tuple[float, float, float]
    #: times that some did
    refills: int = 0

    @classmethod
    def first(cls, reading: Reading, sent_s: float, now_s: float) -> Told:
        told = cls(math.inf, 0.0, sent_s, now_s, now_s, 0.0, (sent_s, reading.remaining, now_s))
        told._take(reading, sent_s, now_s)
        told.anchor = (sent_s, reading.remaining, told.reset_at_s)
        return told

    def read(self, reading: Reading, ledger: Ledger, sent_s: float, now_s: float) -> None:
        """Answers overtake each other: one to an older request says nothing new."""
        if sent_s < self.sent_s:
            return
        anchored_s, remained, reset_at_s = self.anchor
        if now_s >= reset_at_s - 0.5:
            self._take(reading, sent_s, now_s)
            self.anchor = (sent_s, reading.remaining, self.reset_at_s)
            return
        expected = remained - ledger.between(anchored_s, sent_s)
        slack = 0.999 if reading.kind == "requests" else max(1.0, 0.05 * self.limit)
        if reading.remaining >= expected + slack:
            self.refills += 1
            self.anchor = (sent_s, reading.remaining, reset_at_s)
        self._take(reading, sent_s, now_s)

    def _take(self, reading: Reading, sent_s: float, now_s: float) -> None:
        self.limit = self.limit if reading.limit is None else max(reading.limit, reading.remaining)
        self.remaining, self.sent_s, self.read_s = reading.remaining, sent_s, now_s
        reset_s = reading.reset_s
        if reset_s is None:
            reset_s = reading.window_s or WINDOW_S
        # a whole number may be rounded, and who comes early is refused
        self.reset_at_s = now_s + reset_s + (1.0 if reset_s and float(reset_s).is_integer() else 0.05)
        missing = (self.limit - self.remaining) / self.limit if 0 < self.limit < math.inf else 0.0
        if missing > 0:
            if abs(self.window_s * missing - reset_s) > max(1.1, 0.3 * reset_s):  # no bucket, or not the one it was
                self.refills, self.window_s = 0, reset_s / missing
            else:
                self.window_s = max(reset_s / missing, 0.95 * self.window_s)

    @property
    def rate(self) -> float:
        """What comes back per s, where it comes continuously."""
        return self.limit / self.window_s if self.window_s > 0 and self.limit < math.inf else 0.0

    @property
    def flows(self) -> bool:
        """Does it come back continuously?"""
        return self.refills >= 2

    def contradicted(self) -> None:
        """It was refused what it should have had."""
        self.refills = min(0, self.refills - 4) if self.flows else self.refills

    def left(self, ledger: Ledger, now_s: float) -> float:
        if now_s >= self.reset_at_s:
            return self.limit - ledger.since(max(self.reset_at_s, self.sent_s))
        back = self.rate * (now_s - self.read_s) if self.flows else 0.0
        return min(self.limit, self.remaining + back) - ledger.since(self.sent_s)

    def wait_s(self, ledger: Ledger, now_s: float, amount: float) -> float:
        left, amount = self.left(ledger, now_s), min(amount, self.limit)
        if left >= amount:
            return 0.0
        if now_s < self.reset_at_s:
            back_s = (amount - left) / self.rate if self.flows and self.rate > 0 else math.inf
            return min(back_s, self.reset_at_s - now_s)
        return max(0.0, ledger.falls_to(self.limit - amount, WINDOW_S) - now_s)


@dataclass(slots=True)
class Learned:
    """How many requests a window takes, by what was served before a 429."""

    limit: float
    window_s: float = WINDOW_S
    #: requests that have to want the target before more is tried
    owed: float = PATIENCE
    step: float = 1.0
    #: probes in a row that failed
    failed: int = 0
    #: windows in which more was served, and when the last of them began
    beyond: int = 0
    beyond_s: float = field(default=-math.inf)

    @property
    def allowed(self) -> float:
        return self.limit if self.owed > 0 else self.limit + self.step

    def left(self, ledger: Ledger, now_s: float) -> float:
        return Window(self.allowed, self.window_s).left(ledger, now_s)

    def wait_s(self, ledger: Ledger, now_s: float, amount: float) -> float:
        return Window(self.allowed, self.window_s).wait_s(ledger, now_s, amount)

    def served(self, ledger: Ledger, sent_s: float) -> None:
        """An answer: was it beyond the number?"""
        if self.owed > 0 or sent_s < self.beyond_s + self.window_s:
            return
        if ledger.between(sent_s - self.window_s, sent_s) <= self.limit:
            return
        self.beyond, self.beyond_s = self.beyond + 1, sent_s
        if self.beyond >= PROOF:
            self.limit, self.step = self.limit + self.step, self.step * 2
            self.beyond, self.failed = 0, max(0, self.failed - 1)

    def refused(self, served: float) -> None:
        """A 429, with so many served in the window before it."""
        self.failed += served >= self.limit
        if served < self.limit:
            self.limit = max(1.0, served, DECREASE * self.limit // 1)
        self.owed = PATIENCE * min(MOST_PATIENCE, 2 ** min(self.failed, 10))
        self.step, self.beyond = max(1.0, self.limit // 100), 0

"""A target is filled up to its quota and no further, whatever law its provider keeps and whatever it says of it."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

import pytest

from app.domain.catalog import Target
from app.domain.routing.allowance import PATIENCE, Ledger, Reading
from app.domain.routing.quota import HOLD_S, Declared
from app.domain.routing.quotas import Quotas

TARGET = Target("one", "m")
Law = Literal["fixed", "sliding", "bucket"]
MINUTE_S = 60.0


@dataclass
class Provider:
    """Takes `limit` requests a minute, by one of three laws that real ones have."""

    limit: int
    law: Law
    #: times of what was served, of the bucket also what is in it
    served: deque[float] = field(default_factory=deque)
    level: float = field(init=False)
    at_s: float = 0.0

    def __post_init__(self) -> None:
        self.level = float(self.limit)

    def asked(self, now_s: float) -> tuple[bool, Reading]:
        left, reset_s = self._left(now_s)
        taken = left >= 1
        if taken:
            self.served.append(now_s)
            self.level -= 1
            left, reset_s = self._left(now_s)
        return taken, Reading("requests", int(left), self.limit, reset_s)

    def _left(self, now_s: float) -> tuple[float, float]:
        """And s until all of it is back, or in a sliding window until there is more."""
        if self.law == "bucket":
            a_second = self.limit / MINUTE_S
            self.level = min(float(self.limit), self.level + (now_s - self.at_s) * a_second)
            self.at_s = now_s
            return self.level, (self.limit - self.level) / a_second
        began_s = now_s // MINUTE_S * MINUTE_S if self.law == "fixed" else now_s - MINUTE_S
        left = self.limit - sum(at_s >= began_s if self.law == "fixed" else at_s > began_s for at_s in self.served)
        while self.served and self.served[0] < now_s - MINUTE_S:
            self.served.popleft()
        if self.law == "fixed":
            return left, began_s + MINUTE_S - now_s
        return left, (self.served[0] + MINUTE_S - now_s) if self.served else MINUTE_S


@dataclass
class Played:
    asked: int = 0
    served: int = 0
    refused: int = 0


def play(
    quotas: Quotas,
    provider: Provider,
    per_minute: float,
    minutes: float,
    *,
    headers: bool,
    retry_after: bool,
    seed: int,
) -> Played:
    """Requests at random moments, of which each goes to the target unless it is used up."""
    rng, now_s, played = random.Random(seed), 1000.0, Played()
    end_s = now_s + minutes * MINUTE_S
    while (now_s := now_s + rng.expovariate(per_minute / MINUTE_S)) < end_s:
        played.asked += 1
        quotas.wanted(TARGET)
        if quotas.shortage(TARGET, now_s) is not None:
            continue
        quotas.spend(TARGET, now_s)
        taken, said = provider.asked(now_s)
        readings = (said,) if headers else ()
        if taken:
            played.served += 1
            quotas.served(TARGET, now_s, now_s, readings)
        else:
            played.refused += 1
            quotas.limited(TARGET, now_s, now_s, said.reset_s if retry_after else None, readings)
    return played


@pytest.mark.parametrize("law", ["fixed", "sliding", "bucket"])
@pytest.mark.parametrize(("limit", "per_minute"), [(5, 10), (5, 30), (60, 150), (300, 1000)])
@pytest.mark.parametrize(
    ("headers", "retry_after"), [(True, True), (False, True), (False, False)], ids=["headers", "retry-after", "neither"]
)
def test_a_target_is_filled_and_refuses_one_in_a_hundred_at_most(
    law: Law, limit: int, per_minute: int, headers: bool, retry_after: bool
) -> None:
    minutes = max(6.0, 3000.0 / per_minute)
    played = play(
        Quotas({}), Provider(limit, law), per_minute, minutes, headers=headers, retry_after=retry_after, seed=1
    )
    # nobody can fill what chance leaves idle where requests come but little faster, and what nobody tells is learned
    least = 0.8 if per_minute < 2.5 * limit else 0.93 if headers else 0.87
    assert played.refused <= 0.01 * played.asked
    assert played.served >= least * limit * minutes


@pytest.mark.parametrize("law", ["fixed", "sliding", "bucket"])
def test_what_is_declared_is_kept_from_the_first_minute_on(law: Law) -> None:
    quotas = Quotas({"one": Declared(requests_per_minute=60)})
    played = play(quotas, Provider(60, law), 200, 10, headers=False, retry_after=False, seed=1)
    assert played.refused == 0
    assert played.served >= 0.93 * 60 * 10


@pytest.mark.parametrize(("before", "after", "minutes"), [(10, 30, 60), (30, 10, 30)], ids=["raised", "lowered"])
def test_a_learned_number_follows_the_limit(before: int, after: int, minutes: float) -> None:
    quotas, provider = Quotas({}), Provider(before, "sliding")
    play(quotas, provider, 100, 10, headers=False, retry_after=False, seed=2)
    assert learned(quotas) == before

    provider.limit = after
    played = play(quotas, provider, 100, minutes, headers=False, retry_after=False, seed=3)

    assert 0.8 * after <= learned(quotas) <= 1.05 * after
    assert played.refused <= 0.01 * played.asked


def learned(quotas: Quotas) -> float:
    known = quotas.own(TARGET).kinds["requests"].learned
    assert known is not None
    return known.limit


def test_others_with_the_same_key_are_seen_in_the_headers() -> None:
    """Half of what the key allows is taken elsewhere."""
    quotas, now_s = Quotas({}), 0.0
    quotas.spend(TARGET, now_s)
    quotas.served(TARGET, now_s, now_s + 0.3, (Reading("requests", 29, 60, 40.0),))
    asked = 0
    while quotas.shortage(TARGET, now_s + 1) is None:
        quotas.spend(TARGET, now_s + 1)
        asked += 1
    assert asked == 29
    short = quotas.shortage(TARGET, 11.0)
    assert short is not None
    assert short.reason == "quota: 0 of 60 requests left for 30 s"
    assert quotas.shortage(TARGET, 42.0) is None


def test_an_answer_that_was_overtaken_says_nothing_new() -> None:
    quotas = Quotas({})
    for sent_s in (0.0, 1.0):
        quotas.spend(TARGET, sent_s)
    quotas.served(TARGET, 1.0, 1.2, (Reading("requests", 0, 60, 30.0),))
    quotas.served(TARGET, 0.0, 5.0, (Reading("requests", 1, 60, 30.0),))
    assert quotas.shortage(TARGET, 5.0) is not None


def test_what_is_in_flight_counts_before_the_headers_of_its_answer_do() -> None:
    quotas = Quotas({})
    quotas.spend(TARGET, 0.0)
    for number in range(4):
        quotas.spend(TARGET, 0.1 * (number + 1))
    quotas.served(TARGET, 0.0, 1.0, (Reading("requests", 4, 5, 59.0),))
    assert quotas.shortage(TARGET, 1.0) is not None


def test_the_delay_that_a_provider_asks_for_is_kept() -> None:
    quotas = Quotas({})
    quotas.spend(TARGET, 0.0)
    quotas.limited(TARGET, 0.0, 0.1, 30.0)
    assert quotas.shortage(TARGET, 30.0) is not None
    assert quotas.shortage(TARGET, 30.2) is None


def test_who_refuses_again_and_again_is_left_alone_for_longer() -> None:
    quotas, now_s = Quotas({}), 0.0
    for _ in range(3):
        quotas.spend(TARGET, now_s)
        quotas.limited(TARGET, now_s, now_s, 1.0)
        now_s += 70.0
    short = quotas.shortage(TARGET, now_s)
    assert short is not None
    assert "3 429s in a row" in short.reason
    assert quotas.shortage(TARGET, now_s + HOLD_S) is None
    for _ in range(int(PATIENCE)):
        quotas.wanted(TARGET)
    assert quotas.shortage(TARGET, now_s) is None


def test_a_burst_that_was_under_way_is_one_refusal() -> None:
    quotas = Quotas({})
    for number in range(10):
        quotas.spend(TARGET, 0.01 * number)
    for number in range(5, 10):
        quotas.limited(TARGET, 0.01 * number, 1.0 + 0.01 * number, None)
    for number in range(5):
        quotas.served(TARGET, 0.01 * number, 1.1)
    assert (learned(quotas), quotas.own(TARGET).strikes) == (5, 1)


def test_tokens_are_kept_to_as_well() -> None:
    quotas = Quotas({"one": Declared(tokens_per_minute=1000)})
    quotas.spend(TARGET, 0.0, 400.0)
    quotas.used(TARGET, 1.0, 400.0, 380, 200)
    assert quotas.shortage(TARGET, 2.0, 300.0) is None
    short = quotas.shortage(TARGET, 2.0, 500.0)
    assert short is not None
    assert short.reason.startswith("quota: 420 of 1000 tokens left for ")


def test_what_a_block_declares_holds_for_its_models_together() -> None:
    quotas = Quotas({"one": Declared(requests_per_minute=2)})
    other = Target("one", "n")
    quotas.spend(TARGET, 0.0)
    quotas.spend(other, 0.0)
    assert quotas.shortage(TARGET, 1.0) is not None
    assert quotas.shortage(other, 1.0) is not None
    assert quotas.shortage(Target("two", "m"), 1.0) is None


def test_a_ledger_forgets_and_stays_right() -> None:
    ledger = Ledger()
    for number in range(20_000):
        ledger.add(number * 0.05, 1.0)
    assert ledger.total == 20_000
    assert abs(ledger.since(999.95 - 60.0) - 1200) <= 2
    assert len(ledger._times) < 5_000


def test_a_lone_refusal_may_be_an_accident() -> None:
    quotas = Quotas({})
    quotas.spend(TARGET, 0.0)
    quotas.served(TARGET, 0.0, 0.1)
    quotas.spend(TARGET, 1.0)
    quotas.limited(TARGET, 1.0, 1.1, 0.2)
    assert quotas.shortage(TARGET, 1.2) is not None
    assert quotas.shortage(TARGET, 1.4) is None


def test_each_process_leaves_one_request_for_each_other_one() -> None:
    quotas = Quotas({"one": Declared(requests_per_minute=60)})
    quotas.beside = 2
    for number in range(58):
        assert quotas.shortage(TARGET, 0.01 * number) is None
        quotas.spend(TARGET, 0.01 * number)
    assert quotas.shortage(TARGET, 1.0) is not None
    small = Quotas({"one": Declared(requests_per_minute=5)})
    small.beside = 2
    for number in range(5):
        assert small.shortage(TARGET, 0.01 * number) is None
        small.spend(TARGET, 0.01 * number)

"""A regime as a trace: header and rows, seeded; and how many requests each target takes."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from app.domain.policy import Objective
from app.domain.replay.quotas import Quotas
from app.domain.replay.regimes.law import Law
from app.domain.replay.regimes.regime import Event, Regime
from app.domain.replay.trace import Header, Offer, Request, Round

#: s for which what moves is taken to stand still
STEP_S = 60.0
#: s between the requests of a burst, at most
BURST_STEP_S = 0.1


class Moment(NamedTuple):
    """Who is there, how they are, and what a call of each is worth on average."""

    laws: dict[str, Law]
    expected: dict[str, float]


class Course:
    """What becomes of a regime's targets. The same seed gives the same rows."""

    def __init__(self, name: str, regime: Regime, seed: int) -> None:
        self.name, self.regime, self.seed = name, regime, seed
        self._laws = {target: Law.of(spec) for target, spec in regime.targets.items()}
        self._moments: dict[tuple[object, ...], Moment] = {}
        self._moves = any(event.ramp or event.wave for event in regime.events)
        self._arrives = any(spec.arrives_s for spec in regime.targets.values())

    def header(self) -> Header:
        regime = self.regime
        return Header(
            name=self.name,
            providers=tuple(regime.targets),
            objective=Objective(regime.latency, regime.cost, regime.latency_ref_ms, regime.cost_ref_usd),
            round_interval_s=regime.round_interval_s,
            simulated=True,
            changes=self._changes(),
        )

    def quotas(self) -> Quotas:
        specs = self.regime.targets.items()
        return Quotas({target: spec.per_minute for target, spec in specs if spec.per_minute is not None})

    def best_fixed(self) -> str:
        """Of those that are there from the start, who is worth most on average."""
        totals = {target: 0.0 for target, spec in self.regime.targets.items() if spec.arrives_s == 0}
        for at_s in self._arrivals():
            expected = self.at(at_s).expected
            for target in totals:
                totals[target] += expected[target]
        return max(totals, key=totals.__getitem__)

    def rows(self) -> Iterator[Offer | Round | Request]:
        rng = random.Random(f"{self.name}/{self.seed}")
        offered: tuple[str, ...] = ()
        for at_s, is_round in self._steps():
            there = tuple(self.at(at_s).laws)
            if there != offered:
                yield Offer(at_s, there)
                offered = there
            yield self._round(at_s, rng) if is_round else self._request(at_s, rng)

    def _steps(self) -> Iterator[tuple[float, bool]]:
        """When there is a round or a request; of both at once, the round first."""
        due_s = 0.0
        for at_s in self._arrivals():
            while due_s <= at_s:
                yield due_s, True
                due_s += self.regime.round_interval_s
            yield at_s, False

    def _round(self, at_s: float, rng: random.Random) -> Round:
        """Of the same prompts for everybody."""
        regime, calls = self.regime, range(self.regime.round_calls)
        prompts = len(regime.prompts) or 1
        table = {
            target: tuple(law.call(rng, regime, 1.0, number % prompts) for number in calls)
            for target, law in self.at(at_s).laws.items()
        }
        return Round(at_s, table)

    def _request(self, at_s: float, rng: random.Random) -> Request:
        """Of one prompt, whoever gets it."""
        regime, moment = self.regime, self.at(at_s)
        length, sigma = regime.live_length, regime.live_length_sigma
        if sigma:
            length *= math.exp(sigma * rng.gauss(0.0, 1.0))
        prompt = rng.randrange(len(regime.prompts)) if regime.prompts else 0
        samples = {target: law.call(rng, regime, length, prompt) for target, law in moment.laws.items()}
        return Request(at_s, samples, moment.expected)

    def _arrivals(self) -> Iterator[float]:
        """When requests come: evenly, or in bursts."""
        step_s, burst = 3600 / self.regime.per_hour, self.regime.burst
        for number in range(round(self.regime.hours * self.regime.per_hour)):
            place = number % burst
            yield (number - place) * step_s + place * min(step_s, BURST_STEP_S)

    def at(self, at_s: float) -> Moment:
        now_s = at_s - at_s % STEP_S if self._moves else at_s
        events, targets = self.regime.events, self.regime.targets
        active = tuple([place for place, event in enumerate(events) if event.from_s <= at_s < event.to_s])
        there = tuple([name for name in targets if targets[name].arrives_s <= at_s]) if self._arrives else None
        key = (active, there, now_s if self._moves else None)
        moment = self._moments.get(key)
        if moment is None:
            moment = self._moments[key] = self._moment(now_s, [events[place] for place in active], there)
        return moment

    def _moment(self, at_s: float, active: Sequence[Event], there: Sequence[str] | None) -> Moment:
        laws = {name: law for name, law in self._laws.items() if there is None or name in there}
        for event in active:
            if event.target in laws:
                laws[event.target] = _changed(laws[event.target], event, max(at_s, event.from_s))
        return Moment(laws, {name: law.utility(self.regime) for name, law in laws.items()})

    def _changes(self) -> tuple[int, ...]:
        """Requests at which another target becomes the best; not told where things move, and the best with them."""
        if self._moves:
            return ()
        worth = (self.at(at_s).expected for at_s in self._arrivals())
        best = [max(expected, key=expected.__getitem__) for expected in worth]
        return tuple(place for place in range(1, len(best)) if best[place] != best[place - 1])


def _changed(law: Law, event: Event, at_s: float) -> Law:
    values: dict[str, float] = {str(name): value for name, value in event.set.items()}
    for name, (start, end) in event.ramp.items():
        values[name] = start + (end - start) * (at_s - event.from_s) / (event.to_s - event.from_s)
    for name, wave in event.wave.items():
        turn = (1 - math.cos(2 * math.pi * (at_s - wave.phase_s) / wave.period_s)) / 2
        values[name] = wave.low + (wave.high - wave.low) * turn
    return law._replace(**values)

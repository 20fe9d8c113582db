"""A regime: targets, events and traffic. Its numbers stand in regimes.toml, and in files of users' own.

Pydantic models, as the document is an edge wherever it appears; frozen.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
#: what of a target an event may change
Quantity = Literal[
    "latency_ms", "sigma", "success", "cost_usd", "quality", "quality_sd", "failure_ms", "tail_share", "tail_ms"
]
SHARES = ("success", "quality", "tail_share")


class Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TargetSpec(Block):
    """What a target gives: latency log-normal, quality normal and cut to 0..1 (or 0/1, with `grades = "binary"`)."""

    #: median of the successes
    latency_ms: Positive
    cost_usd: Number
    quality: Share
    success: Share = 0.99
    #: standard deviation of ln(latency)
    sigma: Number = 0.25
    quality_sd: Number = 0.08
    #: how long a failure takes
    failure_ms: Number = 120.0
    #: share of the successes that take `tail_ms` instead
    tail_share: Share = 0.0
    tail_ms: Number = 0.0
    #: s from the start; before it the target is not there
    arrives_s: Number = 0.0
    #: requests that it takes, and as many at once; more are answered with 429. None: any number
    per_minute: Annotated[int, Field(ge=1)] | None = None


class Wave(Block):
    """low → high → low, a cosine; `low` at `phase_s`."""

    low: Number
    high: Number
    period_s: Positive = 86_400.0
    phase_s: float = 0.0


class Event(Block):
    """From `from_s` to `to_s` a target has other values: set, moved linearly, or in waves."""

    target: Name
    from_s: Number = 0.0
    to_s: Positive = math.inf
    set: dict[Quantity, Number] = {}
    ramp: dict[Quantity, tuple[Number, Number]] = {}
    wave: dict[Quantity, Wave] = {}

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not (self.set or self.ramp or self.wave):
            raise ValueError("an event needs set, ramp or wave")
        if self.from_s >= self.to_s:
            raise ValueError(f"to_s must be after from_s = {self.from_s:g}: got {self.to_s:g}")
        if self.ramp and math.isinf(self.to_s):
            raise ValueError("a ramp needs to_s, where it ends")
        for quantity, values in self._values():
            if quantity in SHARES and max(values) > 1:
                raise ValueError(f"{quantity} is a share from 0 to 1: got {max(values):g}")
            if quantity == "latency_ms" and min(values) <= 0:
                raise ValueError("latency_ms must be above 0")
        return self

    def _values(self) -> list[tuple[str, tuple[float, ...]]]:
        waves = {name: (wave.low, wave.high) for name, wave in self.wave.items()}
        return [*((name, (value,)) for name, value in self.set.items()), *self.ramp.items(), *waves.items()]


class Draw(Block):
    """Targets drawn at random, `draws` times: times and cost log-uniform, the rest uniform between two ends."""

    targets: Annotated[int, Field(ge=2, le=1000)]
    draws: Annotated[int, Field(ge=1, le=100)] = 5
    latency_ms: tuple[Positive, Positive] = (200.0, 1500.0)
    cost_usd: tuple[Positive, Positive] = (0.0001, 0.012)
    quality: tuple[Share, Share] = (0.55, 0.95)
    success: tuple[Share, Share] = (0.93, 0.998)
    sigma: tuple[Number, Number] = (0.2, 0.6)
    #: 0: quality is independent of cost; 1: who is dearer is better
    quality_by_cost: Share = 0.0
    tail_share: tuple[Share, Share] = (0.0, 0.0)
    tail_ms: tuple[Positive, Positive] = (5_000.0, 30_000.0)

    @model_validator(mode="after")
    def _ends_are_in_order(self) -> Self:
        for name, value in self:
            if isinstance(value, tuple) and value[0] > value[1]:
                raise ValueError(f"{name}: [low, high] are two ends: got {list(value)}")
        return self

    def drawn(self, number: int) -> dict[str, TargetSpec]:
        """The same for the same number, whatever else changes."""
        rng = random.Random(f"{self.targets}/{number}")
        return {f"t{place:03}": self._one(rng) for place in range(self.targets)}

    def _one(self, rng: random.Random) -> TargetSpec:
        latency_ms, dear = _log_uniform(rng, self.latency_ms), rng.random()
        good = self.quality_by_cost * dear + (1 - self.quality_by_cost) * rng.random()
        spec = TargetSpec(
            latency_ms=round(latency_ms, 1),
            cost_usd=round(self.cost_usd[0] * (self.cost_usd[1] / self.cost_usd[0]) ** dear, 6),
            quality=round(self.quality[0] + (self.quality[1] - self.quality[0]) * good, 3),
            success=round(rng.uniform(*self.success), 3),
            sigma=round(rng.uniform(*self.sigma), 2),
        )
        if not self.tail_share[1]:
            return spec
        tail = {"tail_share": rng.uniform(*self.tail_share), "tail_ms": _log_uniform(rng, self.tail_ms)}
        return spec.model_copy(update={name: round(value, 4) for name, value in tail.items()})


class Regime(Block):
    about: Annotated[str, Field(min_length=1)]
    #: where its numbers are from
    source: Annotated[str, Field(min_length=1)]
    targets: dict[Name, TargetSpec] = {}
    draw: Draw | None = None
    events: tuple[Event, ...] = ()
    hours: Annotated[float, Field(gt=0, le=24 * 31)] = 12.0
    per_hour: Annotated[float, Field(gt=0, le=100_000)] = 600.0
    #: so many requests come together
    burst: Annotated[int, Field(ge=1, le=10_000)] = 1
    round_interval_s: Annotated[float, Field(ge=60, allow_inf_nan=False)] = 3600.0
    round_calls: Annotated[int, Field(ge=1, le=1000)] = 10
    #: the objective: what is lost by a call at its reference or beyond
    latency: Number = 0.4
    cost: Number = 0.3
    latency_ref_ms: Positive = 1000.0
    cost_ref_usd: Positive = 0.006
    #: a live prompt is so many times as long as the benchmark's: in latency, cost and tokens
    live_length: Positive = 1.0
    #: standard deviation of ln(that), one length for all targets
    live_length_sigma: Number = 0.0
    grades: Literal["normal", "binary"] = "normal"
    #: what each prompt of a round adds to the quality of all, in order; live requests meet them at random
    prompts: tuple[Annotated[float, Field(ge=-1, le=1)], ...] = ()
    #: name without the number of the draw: what the bars go by
    family: str = ""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.draw is not None and self.targets:
            raise ValueError("targets and draw exclude each other: name the targets, or let them be drawn")
        if self.draw is None and len(self.targets) < 2:
            raise ValueError('needs at least two targets (targets.NAME = {...}, like = "SET"), or a draw')
        if self.draw is None and all(spec.arrives_s > 0 for spec in self.targets.values()):
            raise ValueError("at least one target must be there from the start: arrives_s = 0")
        for event in self.events:
            if self.draw is None and event.target not in self.targets:
                known = ", ".join(self.targets)
                raise ValueError(f"an event names target {event.target!r}; targets are: {known}")
        if self.per_hour * self.hours < 1:
            raise ValueError(f"per_hour × hours must be at least one request: got {self.per_hour * self.hours:g}")
        return self


def expanded(regimes: Mapping[str, Regime]) -> dict[str, Regime]:
    """Each draw by its own name, NAME-1, NAME-2, …"""
    made: dict[str, Regime] = {}
    for name, regime in regimes.items():
        if regime.draw is None:
            made[name] = regime.model_copy(update={"family": name})
        else:
            for number in range(1, regime.draw.draws + 1):
                update: dict[str, Any] = {"family": name, "draw": None, "targets": regime.draw.drawn(number)}
                made[f"{name}-{number}"] = regime.model_copy(update=update)
    return made


def _log_uniform(rng: random.Random, ends: tuple[float, float]) -> float:
    return math.exp(rng.uniform(math.log(ends[0]), math.log(ends[1])))

"""How one call goes: drawn from a profile, or taken from a trace."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

from app.lab.faults import Fault
from app.lab.profiles import Profile
from app.lab.prompt_cache import NOTHING, Cached
from app.lab.trace import Sample


@dataclass(frozen=True, slots=True)
class Course:
    #: ms until the answer (or its failure) begins
    begin_ms: float
    #: the rest of the answer; None: it is there at once
    tokens_per_s: float | None
    quality: float
    fault: Fault | None = None
    #: of thought before the answer
    reasoning_tokens: int = 0
    #: the answer is a tool call, where tools are offered
    calls_tool: bool = False
    #: of the prompt, what the provider had in its cache
    cached: Cached = NOTHING
    #: prices come from here …
    profile: Profile | None = None
    #: … or, in a trace, the whole cost and the number of tokens
    sample: Sample | None = None

    def cost_usd(self, prompt_tokens: int, completion_tokens: int) -> float:
        if self.sample is not None:
            return self.sample.cost_usd
        return self.profile.cost_usd(prompt_tokens, completion_tokens, self.cached) if self.profile else 0.0

    @property
    def answers(self) -> bool:
        return self.fault is None or self.fault.within_answer

    def reading(self, prompt_tokens: int, cached: Cached) -> Course:
        """The same, behind the reading of a prompt: what is in the cache takes no time."""
        read_ms = 0.0 if self.profile is None else self.profile.prompt_token_ms * (prompt_tokens - cached.read)
        return replace(self, begin_ms=self.begin_ms + read_ms, cached=cached)


def drawn(profile: Profile, prompt_id: str | None, rng: random.Random) -> Course:
    """Latency is log-normal around the profile's median.

    A failure takes `fail_latency`, but for those that are part of an answer.
    """
    fault = profile.error_kind if rng.random() < profile.error_rate else None
    latency_ms = profile.latency * math.exp(profile.sigma * rng.gauss(0, 1))
    within_answer = fault is None or fault.within_answer
    return Course(
        begin_ms=latency_ms if within_answer else profile.fail_latency,
        tokens_per_s=profile.tokens_per_s,
        quality=profile.quality_of(prompt_id),
        fault=fault,
        reasoning_tokens=profile.reasoning_tokens,
        calls_tool=profile.tool_rate > 0 and rng.random() < profile.tool_rate,
        profile=profile,
    )


def recorded(sample: Sample, speed: float) -> Course:
    """A trace records whole calls only, so the answer comes in one piece, at the recorded time ÷ speed."""
    return Course(
        begin_ms=sample.latency_ms / speed,
        tokens_per_s=None,
        quality=sample.quality,
        fault=None if sample.ok else Fault.OVERLOADED,
        sample=sample,
    )

"""The quota of a simulated provider: buckets that fill continuously, as OpenAI's and Anthropic's do, and what its
headers say of them. Gemini, DeepSeek and most servers of OpenAI's format say nothing before they refuse.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from app.lab.faults import Fault, Refused
from app.lab.profiles import Profile
from app.lab.refusals.rule import Kind

MINUTE_S = 60.0
#: kinds of servers that name their headers as OpenAI does
LIKE_OPENAI = {Kind.OPENAI, Kind.GROQ, Kind.XAI}


@dataclass(slots=True)
class Bucket:
    limit: float = 0.0
    level: float = 0.0
    at_s: float = 0.0

    def fill(self, limit: float, now_s: float) -> None:
        """To what time has brought; one of another size begins full."""
        if limit != self.limit:
            self.limit = self.level = limit
        else:
            self.level = min(limit, self.level + (now_s - self.at_s) * limit / MINUTE_S)
        self.at_s = now_s

    def full_in_s(self) -> float:
        return (self.limit - self.level) * MINUTE_S / self.limit

    def wait_s(self, amount: float) -> float:
        return max(0.0, min(amount, self.limit) - self.level) * MINUTE_S / self.limit


@dataclass(slots=True)
class Quota:
    """Of one provider; off where its profile has neither `rpm` nor `tpm`."""

    kind: Kind
    buckets: dict[str, Bucket] = field(default_factory=dict)

    def take(self, profile: Profile, tokens: int, now_s: float) -> None:
        """A request with so many tokens; raises Refused where there is no room for it."""
        asked = {"requests": (profile.rpm, 1.0), "tokens": (profile.tpm, float(tokens))}
        for name, (limit, _) in asked.items():
            if limit:
                self.buckets.setdefault(name, Bucket()).fill(float(limit), now_s)
            else:
                self.buckets.pop(name, None)
        wait_s = max((bucket.wait_s(asked[name][1]) for name, bucket in self.buckets.items()), default=0.0)
        if wait_s > 0:
            raise Refused(Fault.RATE_LIMITED, wait_s=wait_s)
        for name, bucket in self.buckets.items():
            bucket.level -= min(asked[name][1], bucket.level)

    def spend(self, tokens: int) -> None:
        """Those of the answer."""
        if (bucket := self.buckets.get("tokens")) is not None:
            bucket.level = max(0.0, bucket.level - tokens)

    def headers(self, now: datetime) -> dict[str, str]:
        """Of every answer, a refusal too."""
        found: dict[str, str] = {}
        for name, bucket in self.buckets.items():
            limit, left = f"{bucket.limit:.0f}", f"{math.floor(bucket.level)}"
            if self.kind in LIKE_OPENAI:
                values = {"limit": limit, "remaining": left, "reset": _span(bucket.full_in_s())}
                found |= {f"x-ratelimit-{figure}-{name}": value for figure, value in values.items()}
            elif self.kind is Kind.ANTHROPIC:
                reset = now.astimezone(UTC) + timedelta(seconds=math.ceil(bucket.full_in_s()))
                values = {"limit": limit, "remaining": left, "reset": reset.strftime("%Y-%m-%dT%H:%M:%SZ")}
                found |= {f"anthropic-ratelimit-{name}-{figure}": value for figure, value in values.items()}
            elif self.kind is Kind.MISTRAL:
                short = {"requests": "req", "tokens": "tokens"}[name]
                found |= {f"x-ratelimit-limit-{short}-minute": limit, f"x-ratelimit-remaining-{short}-minute": left}
        return found


def _span(seconds: float) -> str:
    """As Go writes it: 6ms, 1.5s, 1m0s."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:.0f}m{rest:.3g}s" if minutes else f"{rest:.3g}s"

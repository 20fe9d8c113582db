"""How long a call of a target may take, part by part."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

#: models that think before their first word, by how their vendors name them
THINKS = re.compile(
    r"(^|[/.:])(o[1-9]|gpt-[5-9]|qwq|magistral|kimi-k2-thinking|gemini-(2\.5|[3-9])|grok-[4-9])"
    r"|(^|[-/_.:])(r[1-9]|reasoner|reasoning|think|thinking)($|[-/_.:0-9])"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """ms; None: said elsewhere, in the end by the policy."""

    #: until a stream has begun, be it with reasoning
    first_token_ms: int | None = None
    #: of silence in a stream that has begun: any byte is a sign of life
    idle_ms: int | None = None
    #: of a whole stream
    stream_ms: int | None = None
    #: of a whole answer that is not streamed
    plain_ms: int | None = None

    def over(self, other: Limits) -> Limits:
        """These, and the others where these say nothing."""
        return Limits(
            other.first_token_ms if self.first_token_ms is None else self.first_token_ms,
            other.idle_ms if self.idle_ms is None else self.idle_ms,
            other.stream_ms if self.stream_ms is None else self.stream_ms,
            other.plain_ms if self.plain_ms is None else self.plain_ms,
        )


def thinks(model: str, effort: str | None) -> bool:
    """Does it think for a while before it says anything?"""
    return effort not in (None, "none") or _thinks_by_itself(model)


@lru_cache(maxsize=1000)
def _thinks_by_itself(model: str) -> bool:
    return THINKS.search(model.lower()) is not None

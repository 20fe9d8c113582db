"""Affinity: a conversation stays where its prompt cache is, while that is worth more than the move.

    gain   Δgood + a·ΔL / L_ref + b·ΔC / C_ref   what this request gains where the router would send it
    lost   a·t·H / L_ref + b·s·H / C_ref         what the cache saves where the conversation is

T: tokens of the conversation so far, of which the provider's cache holds H; ΔL, ΔC, Δgood: latency, full price of T and
success·quality, of where it is against where it would go; t: ms to read one token that is in no cache; s: USD that the
cache saves per token; a, b, L_ref, C_ref: the objective's. Unlike utility (docs/routing.md) nothing is capped at the
references: a long conversation costs many times what a probe does, and there the money decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from app.domain.catalog import Target
from app.domain.policy import Objective
from app.domain.routing.scoring import Figures

Why = Literal["best", "cache", "tools", "moved", "gone"]

REASONS: dict[Why, str] = {
    "best": "its conversation is there, and it is the best",
    "cache": "its conversation is there, and the prompt cache is worth more than the move",
    "tools": "its conversation is there, in the middle of a tool loop",
    "moved": "a better target is worth more than the prompt cache",
    "gone": "the target of the conversation is not to be had",
}


@dataclass(frozen=True, slots=True)
class Session:
    """Where a conversation was answered last, and how long it was then."""

    target: Target
    #: of the whole conversation, with the last answer
    tokens: int
    #: … that its next turn will find in the provider's cache, as far as is known
    cached: int

    def to_json(self) -> dict[str, Any]:
        return {"target": str(self.target), "tokens": self.tokens, "cached": self.cached}

    @classmethod
    def from_json(cls, document: Any) -> Session:
        """Raises ValueError for what `to_json` did not write."""
        try:
            return cls(Target.parse(document["target"]), int(document["tokens"]), int(document["cached"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a session: {error!r}") from None


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two targets that are weighed, as far as it is known."""

    #: None: it was never measured
    known: Figures | None
    #: USD per prompt token that is in no cache, and that is; None: no price is known
    prompt_usd: float | None = None
    cached_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Stay:
    """What was decided of a request of a known conversation; the numbers are None where nothing was to be weighed."""

    session: Session
    why: Why
    #: where the router would have sent it
    rival: Target | None = None
    gain: float | None = None
    lost: float | None = None
    #: the parts of both, of which those of `gain` are positive where the rival is better
    gain_ms: float | None = None
    gain_usd: float | None = None
    lost_ms: float | None = None
    lost_usd: float | None = None

    @property
    def stays(self) -> bool:
        return self.why in ("best", "cache", "tools")

    def to_json(self) -> dict[str, Any]:
        """As `explain` shows it."""
        shown = {
            "target": str(self.session.target),
            "rival": None if self.rival is None else str(self.rival),
            "stays": self.stays,
            "reason": REASONS[self.why],
            "tokens": self.session.tokens,
            "cachedTokens": self.session.cached,
            "gain": self.gain,
            "gainMs": self.gain_ms,
            "gainUsd": self.gain_usd,
            "lost": self.lost,
            "lostMs": self.lost_ms,
            "lostUsd": self.lost_usd,
        }
        return {name: round(value, 8) if isinstance(value, float) else value for name, value in shown.items()}


def weigh(session: Session, rival: Target, here: Side, there: Side, objective: Objective, token_ms: float) -> Stay:
    """Is the move to `rival` worth more than the cache? `token_ms`: to read one token that is in no cache."""
    gain_ms, better = _measured(here.known, there.known)
    lost_ms = session.cached * token_ms
    gain_usd = _difference(here.prompt_usd, there.prompt_usd) * session.tokens
    lost_usd = max(0.0, _difference(here.prompt_usd, here.cached_usd)) * session.cached
    gain = _worth(gain_ms, gain_usd, objective) + better
    lost = _worth(lost_ms, lost_usd, objective)
    why: Why = "moved" if gain > lost else "cache"
    return Stay(session, why, rival, gain, lost, gain_ms, gain_usd, lost_ms, lost_usd)


def _worth(ms: float, usd: float, objective: Objective) -> float:
    """Utility of so much time and money."""
    return objective.latency * ms / objective.latency_ref_ms + objective.cost * usd / objective.cost_ref_usd


def _measured(here: Figures | None, there: Figures | None) -> tuple[float, float]:
    """ms and success·quality that the rival is better by; nothing where one of them was never measured."""
    if here is None or there is None:
        return 0.0, 0.0
    return here.latency_ms - there.latency_ms, there.good - here.good


def _difference(one: float | None, other: float | None) -> float:
    return 0.0 if one is None or other is None else one - other

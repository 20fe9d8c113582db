"""Words for tests of routing: targets by letter, outcomes by a few numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.domain.catalog import Target
from app.domain.config import runtime_config
from app.domain.config.runtime_config import ProviderConfig, RuntimeConfig
from app.domain.evidence.scorecard import Scorecard
from app.domain.optimizer import weight_moves
from app.domain.optimizer.optimizer import OptimizerState
from app.domain.outcome import Outcome, Source
from app.domain.policy import Policy

POLICY = Policy()
START = datetime(2026, 1, 1, tzinfo=UTC)
DEEPSEEK, GEMINI, ANTHROPIC, OPENAI = TARGETS = tuple(
    Target(name, "m") for name in ("deepseek", "gemini", "anthropic", "openai")
)


def outcome(
    target: Target,
    latency_ms: float = 100.0,
    *,
    success: bool = True,
    cost_usd: float | None = 0.001,
    quality: float | None = None,
    source: Source = Source.BENCHMARK,
    at: datetime = START,
    counts: bool = True,
) -> Outcome:
    return Outcome(
        target=target, source=source, at=at, success=success, latency_ms=latency_ms,
        cost_usd=cost_usd if success else None, quality=quality if success else None, counts=counts,
    )  # fmt: skip


def calls(target: Target, count: int, *, success: float = 1.0, **values: Any) -> list[Outcome]:
    """`count` outcomes of which a share fails, in 30 ms."""
    good = round(count * success)
    failed = [outcome(target, 30.0, success=False) for _ in range(count - good)]
    return [outcome(target, **values) for _ in range(good)] + failed


def table(latencies: Mapping[Target, float], count: int = 10, **values: Any) -> list[Outcome]:
    """A round in which each target takes its latency, every time."""
    return [each for target, ms in latencies.items() for each in calls(target, count, latency_ms=ms, **values)]


def after_rounds(*rounds: Sequence[Outcome]) -> Scorecard:
    card = Scorecard.empty()
    for outcomes in rounds:
        card = card.close_round(outcomes, POLICY)
    return card


def config(**update: Any) -> RuntimeConfig:
    providers = {t.provider: ProviderConfig(priority=place) for place, t in enumerate(TARGETS, 1)}
    return runtime_config.merge(runtime_config.initial(0, providers), update)


def later(**by: float) -> datetime:
    return START + timedelta(**by)


def same_memory(one: OptimizerState, other: OptimizerState) -> bool:
    """Up to the digits in which a revision is written."""

    def loose(state: OptimizerState) -> OptimizerState:
        return replace(state, excess=0.0, previous=None, given_weights=None, own_weights=None, base_weights=None)

    triples = [(getattr(one, name), getattr(other, name)) for name in ("previous", "given_weights", "own_weights")]
    triples.append((one.base_weights, other.base_weights))
    close = all(a is b is None or (a and b and weight_moves.is_close(a, b)) for a, b in triples)
    return loose(one) == loose(other) and close and abs(one.excess - other.excess) < 1e-4

"""From what the optimizer found to the config: what is applied, what a person pinned, what is only proposed."""

from __future__ import annotations

import json

import structlog

from app.domain.config.runtime_config import RuntimeConfig
from app.domain.insight import Insight
from app.domain.optimizer.optimizer import Optimization, OptimizerState
from app.store.models import Learned

log = structlog.get_logger()


def state_of(learned: Learned) -> OptimizerState:
    """What the optimizer remembers; unreadable memories are reported, and gathered anew from here on."""
    try:
        return OptimizerState.from_json(learned.optimizer) if learned.optimizer else OptimizerState.empty()
    except ValueError as error:
        log.error("optimizer state not readable, starting from none", reason=str(error))
        return OptimizerState.empty()


def applies(current: RuntimeConfig) -> bool:
    """May the optimizer change the config, or only propose?"""
    return current.features.auto_optimization and current.global_.enabled


def applied(current: RuntimeConfig, result: Optimization, now_ms: int, *, of_round: bool) -> RuntimeConfig:
    """The config as the optimizer wants it; what a person pinned stays."""
    wanted: dict[str, object] = {}
    if not current.pins.weights:
        wanted["provider_weights"] = result.weights
    if not current.pins.exploration_rate:
        wanted["exploration_rate"] = result.exploration_rate
    moved = {name for name, value in wanted.items() if value != getattr(current.global_, name)}
    metadata: dict[str, object] = {}
    if moved or result.score is not None:  # else nothing was optimized: a part of a round moves nothing
        metadata = {"optimized_by": "optimizer", "last_optimization_time": now_ms}
        metadata |= {"iteration_count": current.metadata.iteration_count + 1} if of_round else {}
    if (score := result.score) is not None:
        metadata |= {
            "optimization_score": round(score.value, 4),
            "optimization_score_low": round(score.low, 4),
            "optimization_score_high": round(score.high, 4),
            "optimization_score_samples": score.samples,
        }
    return current.model_copy(
        update={
            "global_": current.global_.model_copy(update=wanted),
            "metadata": current.metadata.model_copy(update=metadata),
        }
    )


def proposal(current: RuntimeConfig, result: Optimization) -> Insight:
    off = "autoOptimization" if current.global_.enabled else "enabled"
    data = {"weights": result.weights.model_dump(), "explorationRate": result.exploration_rate}
    return Insight("proposal", f"{off} is off: proposed, not applied: {json.dumps(data)}", data)


def pinned(current: RuntimeConfig, result: Optimization) -> list[Insight]:
    """What the optimizer would have set, had no person pinned it."""
    found = []
    if current.pins.weights and result.weights != current.global_.provider_weights:
        data = {"weights": result.weights.model_dump()}
        found.append(Insight("pinned", f"weights are pinned: not set to {json.dumps(data['weights'])}", data))
    if current.pins.exploration_rate and result.exploration_rate != current.global_.exploration_rate:
        rate = result.exploration_rate
        found.append(Insight("pinned", f"explorationRate is pinned: not set to {rate}", {"explorationRate": rate}))
    return found

"""Insights: what the optimizer saw and did, in sentences that name their numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from app.domain.evidence.evidence import Evidence
from app.domain.insight import Insight
from app.domain.optimizer.weight_moves import Triple, latency_spread, worst_success
from app.domain.policy import WeightsPolicy


def became_slow(name: str, latency_ms: float, baseline_ms: float, *, of_a_part: bool = False) -> Insight:
    """`of_a_part`: the baseline is not what was measured, but what the prompts that were asked would make of it."""
    ratio = latency_ms / baseline_ms
    was = "with these prompts expected" if of_a_part else "was"
    text = f"{name} latency {latency_ms:.0f} ms, {was} {baseline_ms:.0f} ms (×{ratio:.2f})"
    return Insight("latency", text, {"latencyMs": latency_ms, "baselineMs": baseline_ms, "ratio": round(ratio, 3)})


def became_unreliable(name: str, success: float, probes: int, limit: float) -> Insight:
    text = f"{name} success {success:.0%} is below {limit:.0%}"
    return Insight("reliability", text, {"success": success, "probes": probes})


def exploration(alarms: Collection[Insight], was: float, rate: float) -> list[Insight]:
    """What the alarms, or their absence, did to the exploration rate."""
    changed = shown(was) != shown(rate)
    moved = f"exploration {shown(was)} → {shown(rate)}" if changed else f"exploration {shown(rate)}"
    if not alarms and rate < was:
        return [Insight("exploration", f"no target became slow or unreliable: {moved}", {"rate": rate})]
    return [Insight(alarm.kind, f"{alarm.text}: {moved}", alarm.data) for alarm in alarms]


def weights(
    before: Triple, after: Triple, verdict: str, gain: float, known: Collection[Evidence], limits: WeightsPolicy
) -> list[Insight]:
    """`gain`: what the new weights would have earned more, per call, in the rounds that verified them."""
    moved = f"weights {_all_shown(before)} → {_all_shown(after)}"
    data = {"before": before, "after": after, "spread": round(latency_spread(known), 4), "gain": round(gain, 5)}
    said = {
        "proposed": _why(known, limits),
        "better": f"they would have earned {gain:.3f} more per call in the latest rounds",
        "rolled_back": f"the older weights would have earned {gain:.3f} more per call since the move",
    }
    if verdict in said:
        return [Insight("rollback" if verdict == "rolled_back" else "weights", f"{moved}: {said[verdict]}", data)]
    if verdict == "partial":
        return [Insight("partial", "not every prompt ran on every provider: nothing moves", data)]
    return []


def _why(known: Collection[Evidence], limits: WeightsPolicy) -> str:
    spread = latency_spread(known)
    if worst_success(known, limits.unreliable_sigma) < limits.unreliable_below:
        return f"worst success {worst_success(known):.0%} is below {limits.unreliable_below:.0%}"
    if spread > limits.spread_above:
        return f"latency spread {shown(spread)} is above {shown(limits.spread_above)}"
    return f"latency spread {shown(spread)} is below {shown(limits.spread_above)}, and all targets are reliable"


def best(scores: Mapping[str, float]) -> list[Insight]:
    if not scores:
        return []
    name = max(scores, key=scores.__getitem__)
    rounded = {each: round(score, 4) for each, score in scores.items()}
    return [Insight("best", f"Best provider: {name} (score: {scores[name]:.3f})", {"scores": rounded})]


def shown(value: float) -> str:
    """.10 or .125, as the specification writes shares."""
    text = f"{value:.3f}".removesuffix("0")
    return text.removeprefix("0") if value < 1 else text


def _all_shown(weights: Triple) -> str:
    return "(" + ", ".join(shown(value) for value in weights) + ")"

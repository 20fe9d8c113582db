"""The ranking as the API shows it: every candidate with what put it there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.domain.catalog import Target
from app.domain.evidence.evidence import Evidence
from app.domain.insight import Names
from app.domain.routing import score_parts
from app.domain.routing.plan import Candidate, Plan

#: of those that are not compared by score
_UNTOLD: Mapping[str, Any] = {"parts": None, "gap": None, "turn": None, "why": ""}


def candidates_json(plan: Plan) -> list[dict[str, Any]]:
    """The ranking as the API shows it."""
    told = _told(plan)
    return [
        {
            "provider": candidate.target.provider,
            "model": candidate.target.model,
            "score": _rounded(candidate.score),
            "utility": _rounded(candidate.utility),
            "eligible": candidate.eligible,
            "breaker": candidate.breaker,
            "sharesFirstPlace": candidate.target in plan.ties,
            "mayBeExplored": candidate.target in plan.explorable,
            "reasons": list(candidate.reasons),
            **(told.get(candidate.target) or _UNTOLD),
            "evidence": None if candidate.evidence is None else _evidence_json(candidate, candidate.evidence, plan.at),
        }
        for candidate in plan.candidates
    ]


def _told(plan: Plan) -> Mapping[Target, Mapping[str, Any]]:
    """Parts of the scores, gaps, what would change the order, and a sentence, of those that are compared."""
    if plan.policy is None:
        return {}
    names = Names({each.target for each in plan.candidates})
    ranked = [
        score_parts.Ranked(
            each.target, names.of(each.target), each.evidence, each.figures, each.lean, each.score, each.utility
        )
        for each in plan.candidates
        if each.figures and each.lean and each.evidence and each.score is not None and each.utility is not None
    ]
    if plan.pacing is not None and plan.pacing.binds:
        return score_parts.under_ceiling(ranked, plan.pacing)
    return score_parts.by_target(ranked, plan.ties[0], plan.policy)


def _evidence_json(candidate: Candidate, known: Evidence, now: datetime) -> dict[str, Any]:
    seen, task, said = known.last_observed_at, candidate.task, candidate.feedback
    return {
        "latencyMs": _rounded(known.latency_ms, 1),
        "success": _rounded(known.success),
        "quality": _rounded(known.quality),
        "qualityInterval": None
        if (interval := known.quality_interval) is None
        else [_rounded(end) for end in interval],
        "qualityPrompts": _rounded(known.quality_mass, 1),
        "costUsd": known.cost_usd,
        "mass": _rounded(known.mass, 1),
        "benchmarkCount": known.benchmark_count,
        "liveCount": known.live_count,
        "refusedCount": known.refused_count,
        "lastObservedAt": None if seen is None else int(seen.timestamp() * 1000),
        "ageS": None if seen is None else max(0, round((now - seen).total_seconds())),
        "task": None if task is None else {"benchmarkCount": task.benchmark_count, "liveCount": task.live_count},
        "feedback": None
        if said is None
        else {
            "count": said.count,
            "score": _rounded(said.score.mean),
            "lastAt": None if said.last_at is None else int(said.last_at.timestamp() * 1000),
        },
    }


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)

"""Rounds as JSON: the shapes that design and README promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from app.domain.catalog import Prompt
from app.domain.rounds.agreement import agreement
from app.live.live_config import to_ms
from app.store.models import Probe, ProbeStatus, Round

#: statuses after which a probe's time belongs into a mean: a timeout counts as long as it cost
_TIMED = {ProbeStatus.OK, ProbeStatus.TIMEOUT}


def round_json(record: Round, probes: Sequence[Probe], prompts: Mapping[str, Prompt]) -> dict[str, Any]:
    """One finished round: `results` per probe, `summary` over them."""
    shown = round_summary_json(record, probes)
    return {**shown, "results": [_probe_json(probe, prompts) for probe in probes]}


def round_summary_json(record: Round, probes: Sequence[Probe]) -> dict[str, Any]:
    """The same without the results."""
    successes = [probe for probe in probes if probe.status == ProbeStatus.OK]
    timed = [p.latency_ms for p in probes if p.status in _TIMED and p.latency_ms is not None]
    graded = [p.quality for p in successes if p.quality is not None]
    costs = [p.cost_usd for p in probes if p.cost_usd is not None]
    verdicts = [p.judge_cost_usd for p in probes if p.judge_cost_usd is not None]
    return {
        "id": record.id,
        "timestamp": to_ms(record.planned_at),
        "duration": None if record.finished_at is None else to_ms(record.finished_at) - to_ms(record.planned_at),
        "status": record.status,
        "trigger": record.trigger,
        "simulated": record.simulated,
        "leftOut": record.left_out,
        "degraded": record.degraded,
        "measurementError": record.measurement,
        "summary": {
            "providersAttempted": len(probes),
            "successCount": len(successes),
            "avgLatency": _mean(timed, 0),
            "avgQualityScore": _mean(graded, 3),
            "totalCostUsd": _total([*costs, *verdicts]),
            "judgeCostUsd": _total(verdicts),
            "estimatedCostUsd": None if record.estimated_cost_usd is None else round(record.estimated_cost_usd, 6),
            "judge": agreement(
                [
                    (probe.quality, probe.judge_score)
                    for probe in probes
                    if probe.quality is not None and probe.judge_score is not None
                ]
            ),
            "improvements": [insight["text"] for insight in record.insights],
        },
    }


def _probe_json(probe: Probe, prompts: Mapping[str, Prompt]) -> dict[str, Any]:
    prompt = prompts.get(probe.prompt_id)
    has_tokens = probe.prompt_tokens is not None or probe.completion_tokens is not None
    return {
        "provider": probe.provider,
        "model": probe.model,
        "promptId": probe.prompt_id,
        "prompt": probe.prompt_id if prompt is None else prompt.text,
        "category": None if prompt is None else prompt.category,
        "latency": None if probe.latency_ms is None else round(probe.latency_ms),
        "timeToFirstToken": None if probe.ttft_ms is None else round(probe.ttft_ms),
        "connectMs": _rounded(probe.connect_ms),
        "queueDelayMs": _rounded(probe.queue_delay_ms),
        "tokensPerSecond": _tokens_per_s(probe),
        "promptTokens": probe.prompt_tokens,
        "completionTokens": probe.completion_tokens,
        "tokens": (probe.prompt_tokens or 0) + (probe.completion_tokens or 0) if has_tokens else None,
        "tokensEstimated": probe.tokens_estimated,
        "qualityScore": None if probe.quality is None else round(probe.quality, 3),
        "gradeReasons": probe.grade_reasons,
        "judge": _verdict_json(probe),
        "answer": probe.answer,
        "answeredModel": probe.answered_model,
        "finishedAt": _ms(probe.finished_at),
        "cost": probe.cost_usd,
        "success": probe.status == ProbeStatus.OK,
        "error": probe.error_class,
        "errorMessage": probe.error_message,
        "simulated": probe.simulated,
    }


def _tokens_per_s(probe: Probe) -> float | None:
    """Of the answer itself: from its first token to its last."""
    if probe.completion_tokens is None or probe.latency_ms is None or probe.ttft_ms is None:
        return None
    writing_ms = probe.latency_ms - probe.ttft_ms
    return round(probe.completion_tokens / writing_ms * 1000, 1) if writing_ms >= 1 else None


def _verdict_json(probe: Probe) -> dict[str, Any] | None:
    if probe.judge_target is None:
        return None
    return {"score": probe.judge_score, "by": probe.judge_target, "reason": probe.judge_reason}


def progress_json(record: Round, table: Mapping[str, Mapping[str, int]], now_ms: int) -> dict[str, Any]:
    """A round that may still run: how far it is, per provider."""
    unfinished = {ProbeStatus.PENDING.value, ProbeStatus.RUNNING.value}
    done = {name: sum(n for status, n in row.items() if status not in unfinished) for name, row in table.items()}
    return {
        "roundId": record.id,
        "status": record.status,
        "trigger": record.trigger,
        "simulated": record.simulated,
        "plannedAt": to_ms(record.planned_at),
        "deadlineAt": to_ms(record.deadline_at),
        "finishedAt": _ms(record.finished_at),
        "expected": record.expected_n,
        "done": sum(done.values()),
        "providers": {
            name: {"expected": sum(row.values()), "done": done[name], **dict(row)} for name, row in table.items()
        },
        "leftOut": record.left_out,
        "degraded": record.degraded,
        "measurementError": record.measurement,
        "estimatedCostUsd": record.estimated_cost_usd,
        "etaMs": _eta_ms(record, table, done, now_ms),
        "insights": record.insights or record.notes,
    }


def _eta_ms(record: Round, table: Mapping[str, Mapping[str, int]], done: Mapping[str, int], now_ms: int) -> int | None:
    """Until the slowest provider is through, at the pace of each so far; None while one has not finished a probe."""
    if record.finished_at is not None:
        return 0
    elapsed_ms = max(0, now_ms - to_ms(record.planned_at))
    waits = []
    for name, row in table.items():
        left = sum(row.values()) - done[name]
        if left and not done[name]:
            return None
        waits.append(elapsed_ms * left / done[name] if left else 0)
    return round(min(max(waits, default=0), max(0, to_ms(record.deadline_at) - now_ms)))


def insights_json(records: Sequence[Round]) -> list[dict[str, Any]]:
    return [
        {"roundId": record.id, "timestamp": _ms(record.finished_at), "simulated": record.simulated, **insight}
        for record in records
        for insight in record.insights
    ]


def _total(values: Sequence[float]) -> float | None:
    return round(sum(values), 6) if values else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _mean(values: Sequence[float], digits: int) -> float | None:
    if not values:
        return None
    mean = sum(values) / len(values)
    return round(mean, digits) if digits else round(mean)


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else to_ms(moment)

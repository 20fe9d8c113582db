"""What a round says of itself, before the optimizer looks at it: how well it measured, and what is new in it."""

from __future__ import annotations

from datetime import timedelta

from app.domain.insight import Insight
from app.domain.rounds import comparison
from app.domain.rounds.measurement import degraded, measurement_error, own_trouble, tolerance_ms
from app.services import Services
from app.store import database, history, measured, rounds

BASELINE = timedelta(hours=24)
#: kinds of notes that are written here; the others were written when the round was planned
KINDS = {"degraded", "comparison"}


def review(services: Services, round_id: str) -> None:
    """Write measurement error and notes to the round. Doing it again, after a crash, gives the same."""
    with database.transaction(services.sessions) as session:
        record = rounds.get(session, round_id)
        if record is None:
            return
        policy = services.policy.rounds
        error = measurement_error(measured.canary_errors(session, round_id))
        now = measured.samples(session, round_id)
        limit_ms = tolerance_ms(now, policy.measurement_error_ms, policy.measurement_error_share)
        probes = rounds.probes(session, [round_id])
        trouble = own_trouble(history.of_probe(probe) for probe in probes if probe.latency_ms is not None)
        doubt = trouble or (degraded(error, limit_ms) if policy.canaries else None)
        insights = [doubt]
        before = measured.round_before(session, record)
        if before is not None:
            then = measured.samples(session, before)
            insights.append(comparison.insight("the round before", comparison.differences(now, then)))
            baseline = measured.samples_since(session, record, BASELINE)
            insights.append(comparison.insight("the 24 hours before", comparison.differences(now, baseline)))
        planned = [note for note in record.notes if note["kind"] not in KINDS]
        rounds.note(
            session,
            round_id,
            notes=[*planned, *(insight_json(each) for each in insights if each is not None)],
            measurement=None if error is None else error.to_json(),
            degraded=doubt is not None,
        )


def insight_json(insight: Insight) -> dict[str, object]:
    return {"kind": insight.kind, "text": insight.text, "data": dict(insight.data)}

"""What this installation has recorded, in the order in which it happened: rounds, and live outcomes."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from app.domain.catalog import Target, TaskType
from app.domain.outcome import Outcome, Source
from app.domain.replay.recorded import FinishedRound, LiveCall
from app.store import rounds
from app.store.models import DIGESTED, LiveOutcome, Probe, ProbeStatus, Round

#: rows that are in memory at once
PAGE = 1000


def events(session: Session, since: datetime, live_since: datetime | None = None) -> Iterator[FinishedRound | LiveCall]:
    """Rounds finished, and calls made, from a moment on, oldest first."""
    return heapq.merge(_rounds(session, since), _calls(session, live_since or since), key=lambda event: event.at)


def recent_rounds(session: Session, limit: int) -> list[datetime]:
    """When the latest digested rounds ended, newest first."""
    query = select(Round.finished_at).where(Round.status.in_(DIGESTED)).order_by(Round.finished_at.desc()).limit(limit)
    return [at for at in session.scalars(query) if at is not None]


def is_simulated(session: Session, since: datetime) -> bool:
    """Was any of the rounds since then served by the lab?"""
    return bool(session.scalar(select(exists().where(Round.finished_at >= since, Round.simulated))))


def latest_calls_since(session: Session, since: datetime, limit: int) -> datetime:
    """The moment from which on there are at most `limit` calls; not before `since`."""
    newest = select(LiveOutcome.at).where(LiveOutcome.at >= since).order_by(LiveOutcome.at.desc())
    return session.scalar(newest.offset(limit).limit(1)) or since


def _rounds(session: Session, since: datetime) -> Iterator[FinishedRound]:
    finished = select(Round).where(Round.status.in_(DIGESTED), Round.finished_at >= since).order_by(Round.finished_at)
    for record in session.scalars(finished).all():
        outcomes = [of_probe(probe) for probe in rounds.probes(session, [record.id]) if probe.latency_ms is not None]
        assert record.finished_at is not None
        yield FinishedRound(record.finished_at, outcomes, _is_complete(record))


def _is_complete(record: Round) -> bool:
    """By what the round said of itself when it was digested."""
    return not record.degraded and not any(note["kind"] == "partial" for note in record.insights)


def _calls(session: Session, since: datetime) -> Iterator[LiveCall]:
    query = (
        select(LiveOutcome)
        .where(LiveOutcome.at >= since)
        .order_by(LiveOutcome.at, LiveOutcome.request_id, LiveOutcome.attempt)
        .execution_options(yield_per=PAGE)
    )
    for row in session.scalars(query):
        yield LiveCall(of_live(row), row.attempt == 1)


def of_probe(probe: Probe) -> Outcome:
    """A probe that ran, as evidence."""
    assert probe.latency_ms is not None
    assert probe.finished_at is not None
    return Outcome(
        target=Target(probe.provider, probe.model),
        source=Source.BENCHMARK,
        at=probe.finished_at,
        success=probe.status == ProbeStatus.OK,
        latency_ms=probe.latency_ms,
        task_type=TaskType(probe.task_type),
        ttft_ms=probe.ttft_ms,
        connect_ms=probe.connect_ms,
        prompt_tokens=probe.prompt_tokens,
        completion_tokens=probe.completion_tokens,
        reasoning_tokens=probe.reasoning_tokens,
        cached_tokens=probe.cached_tokens,
        tokens_estimated=probe.tokens_estimated,
        cost_usd=probe.cost_usd,
        quality=probe.quality,
        prompt_id=probe.prompt_id,
        error_class=probe.error_class,
        counts=probe.counts,
        simulated=probe.simulated,
    )


def of_live(row: LiveOutcome) -> Outcome:
    return Outcome(
        target=Target(row.provider, row.model),
        source=Source.LIVE,
        at=row.at,
        success=row.success,
        latency_ms=row.latency_ms,
        task_type=TaskType(row.task_type),
        ttft_ms=row.ttft_ms,
        connect_ms=row.connect_ms,
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
        cost_usd=row.cost_usd,
        error_class=row.error_class,
        counts=row.counts,
        simulated=row.simulated,
    )

"""Sums per hour, day and week of all calls, live and in rounds: made anew from the rows of an hour that has new ones.

Whoever writes rows marks their hours in the same transaction (`mark`). A mark that can be seen tells of rows that can
be seen, so what a run takes is complete, and what is under way is marked for the next one. An hour that is made twice
is the same; one whose rows may have been deleted in part is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, case, cast, delete, distinct, func, insert, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from app.domain.evidence.histogram import GROWTH, LAST
from app.store import comparing
from app.store.grains import DAY, HOUR, PROVIDERS, WEEK
from app.store.models import Rollup, RollupDue, Round

LIVE, BENCHMARK, JUDGE = "live", "benchmark", "judge"

_SUMS = (
    *("calls", "uncounted", "explored", "graded", "quality"),
    *("prompt_tokens", "completion_tokens", "cached_tokens", "cost_usd", "unpriced", "latency_ms"),
)
_OF = "source, provider, model, error_class, simulated"
_INTO = f"INSERT INTO rollups (grain, detailed, at, segment, task_type, {_OF}, {', '.join(_SUMS)}, latency)"
_KEY = f"grain, detailed, at, segment, task_type, {_OF}"
_REPLACED = ", ".join(f"{name} = excluded.{name}" for name in (*_SUMS, "latency"))
_ON_CONFLICT = f"ON CONFLICT ({_KEY}) DO UPDATE SET {_REPLACED}"

_CALLS = """
  calls AS (
    SELECT h.at AS hour, 'live' AS source, c.provider, c.model, coalesce(c.segment, '') AS segment, c.task_type,
           CASE WHEN c.success THEN '' ELSE coalesce(c.error_class, 'unknown') END AS error_class, c.simulated,
           NOT c.counts AS uncounted, c.explored, NULL::float8 AS quality, c.prompt_tokens, c.completion_tokens,
           c.cached_tokens, c.cost_usd, c.success AND c.cost_usd IS NULL AS unpriced, c.latency_ms
    FROM unnest(CAST(:live_hours AS timestamptz[])) AS h(at) CROSS JOIN live_providers p
    CROSS JOIN LATERAL (
      SELECT * FROM outcomes o
      WHERE o.provider = p.provider AND o.at >= h.at AND o.at < h.at + interval '1 hour' OFFSET 0
    ) AS c
    UNION ALL
    SELECT h.at, 'benchmark', c.provider, c.model, '', c.task_type,
           CASE WHEN c.status = 'ok' THEN '' ELSE coalesce(c.error_class, 'unknown') END, c.simulated,
           NOT c.counts, false, CASE WHEN c.status = 'ok' THEN c.quality END, c.prompt_tokens, c.completion_tokens,
           c.cached_tokens, c.cost_usd, c.status = 'ok' AND c.cost_usd IS NULL, c.latency_ms
    FROM unnest(CAST(:probe_hours AS timestamptz[])) AS h(at) CROSS JOIN probed_providers p
    CROSS JOIN LATERAL (
      SELECT * FROM probes o WHERE o.provider = p.provider AND o.finished_at >= h.at
      AND o.finished_at < h.at + interval '1 hour' OFFSET 0
    ) AS c
    WHERE c.latency_ms IS NOT NULL
    UNION ALL
    SELECT h.at, 'judge', split_part(c.judge_target, '/', 1),
           substr(c.judge_target, strpos(c.judge_target, '/') + 1), '', c.task_type, '', c.simulated,
           false, false, NULL, NULL, NULL, NULL, c.judge_cost_usd, c.judge_cost_usd IS NULL, NULL
    FROM unnest(CAST(:probe_hours AS timestamptz[])) AS h(at) CROSS JOIN probed_providers p
    CROSS JOIN LATERAL (
      SELECT * FROM probes o WHERE o.provider = p.provider AND o.finished_at >= h.at
      AND o.finished_at < h.at + interval '1 hour' OFFSET 0
    ) AS c
    WHERE c.judge_target IS NOT NULL
  )"""
_SUMMED = """
  summed AS (
    SELECT hour, GROUPING(segment) = 0 AS detailed, segment, task_type, source, provider, model, error_class, simulated,
           bucket, count(*) AS calls, count(*) FILTER (WHERE uncounted) AS uncounted,
           count(*) FILTER (WHERE explored) AS explored, count(quality) AS graded,
           coalesce(sum(quality), 0) AS quality, coalesce(sum(prompt_tokens), 0) AS prompt_tokens,
           coalesce(sum(completion_tokens), 0) AS completion_tokens, coalesce(sum(cached_tokens), 0) AS cached_tokens,
           coalesce(sum(cost_usd), 0) AS cost_usd, count(*) FILTER (WHERE unpriced) AS unpriced,
           coalesce(sum(latency_ms), 0) AS latency_ms
    FROM (
      SELECT *, CASE WHEN latency_ms IS NOT NULL
                     THEN least(:last, floor(ln(greatest(latency_ms, 1)) / ln(:growth)))::int END AS bucket FROM calls
    ) AS c
    GROUP BY GROUPING SETS (
      (hour, source, provider, model, error_class, simulated, bucket),
      (hour, source, provider, model, error_class, simulated, bucket, segment, task_type)
    )
  )"""
_HOURS = text(
    f"""WITH RECURSIVE {PROVIDERS.format(name="live_providers", table="outcomes")},
    {PROVIDERS.format(name="probed_providers", table="probes")}, {_CALLS}, {_SUMMED}
    {_INTO}
    SELECT 'hour', detailed, hour, coalesce(segment, ''), coalesce(task_type, ''), {_OF},
           {", ".join(f"sum({name})" for name in _SUMS)},
           coalesce(jsonb_object_agg(bucket, calls) FILTER (WHERE bucket IS NOT NULL), '{{}}')
    FROM summed GROUP BY detailed, hour, segment, task_type, {_OF}
    {_ON_CONFLICT}"""
)
_OF_STEP = f"detailed, start, segment, task_type, {_OF}"
# days of hours, and weeks of days
_LONGER = text(
    f"""WITH parts AS (
      SELECT w.at AS start, r.* FROM unnest(CAST(:starts AS timestamptz[])) AS w(at)
      JOIN rollups r ON r.grain = :part AND r.at >= w.at AND r.at < w.at + CAST(:width AS interval)
    ), sums AS (
      SELECT {_OF_STEP}, {", ".join(f"sum({name}) AS {name}" for name in _SUMS)} FROM parts GROUP BY {_OF_STEP}
    ), buckets AS (
      SELECT {_OF_STEP}, b.key, sum(b.value::bigint) AS calls
      FROM parts, jsonb_each_text(latency) AS b GROUP BY {_OF_STEP}, b.key
    ), histograms AS (
      SELECT {_OF_STEP}, jsonb_object_agg(key, calls) AS latency FROM buckets GROUP BY {_OF_STEP}
    )
    {_INTO}
    SELECT :grain, {_OF_STEP}, {", ".join(_SUMS)}, coalesce(latency, '{{}}')
    FROM sums LEFT JOIN histograms USING ({_OF_STEP})
    {_ON_CONFLICT}"""
)


def mark(session: Session, moments: Iterable[datetime]) -> None:
    """Rows of these moments are written in this transaction."""
    hours = sorted({_hour(moment) for moment in moments})
    if hours:
        session.execute(insert(RollupDue), [{"hour": hour} for hour in hours])


def mark_round(session: Session, round_id: str) -> None:
    """All hours of a round that ends in this transaction."""
    planned_at = session.scalar(select(Round.planned_at).where(Round.id == round_id))
    if planned_at is not None:
        now = session.execute(select(func.now())).scalar_one()
        mark(
            session, (planned_at + timedelta(hours=n) for n in range(int((now - planned_at) / timedelta(hours=1)) + 1))
        )
        mark(session, [now])


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class Kept:
    """How long rows are kept: what is made of older ones may have lost some."""

    outcomes: timedelta
    probes: timedelta
    #: their sums per hour
    hours: timedelta


def roll_up(session: Session, limit: int, kept: Kept) -> int | None:
    """Make the newest `limit` hours that are marked; how many, or None where another process is at it."""
    if not session.scalar(select(func.pg_try_advisory_xact_lock(func.hashtext("roll up")))):
        return None
    hours = _take(session, limit)
    if not hours:
        return 0
    now = session.execute(select(func.now())).scalar_one()
    live, probed = _since(hours, now - kept.outcomes), _since(hours, now - kept.probes)
    session.execute(_HOURS, {"live_hours": live, "probe_hours": probed, "last": LAST, "growth": GROWTH})
    days = _since(sorted({hour.replace(hour=0) for hour in {*live, *probed}}), now - kept.hours)
    _add_up(session, DAY, HOUR, timedelta(days=1), days)
    _add_up(session, WEEK, DAY, timedelta(weeks=1), sorted({week_of(day) for day in days}))
    comparing.make(session, live, probed, (now - kept.probes, now - kept.hours))
    return len(hours)


def _add_up(session: Session, grain: str, part: str, width: timedelta, starts: Sequence[datetime]) -> None:
    session.execute(_LONGER, {"grain": grain, "part": part, "width": width, "starts": starts})


def week_of(day: datetime) -> datetime:
    """Its Monday."""
    return day - timedelta(days=day.weekday())


def _since(moments: Iterable[datetime], oldest: datetime) -> list[datetime]:
    """With an hour to spare: retention works on while this does."""
    return [moment for moment in moments if moment > oldest + timedelta(hours=1)]


def _take(session: Session, limit: int) -> list[datetime]:
    newest = select(RollupDue.hour).distinct().order_by(RollupDue.hour.desc()).limit(limit)
    taken = session.scalars(delete(RollupDue).where(RollupDue.hour.in_(newest)).returning(RollupDue.hour))
    return sorted({_hour(hour) for hour in taken})


def waiting(session: Session, since: datetime, until: datetime) -> int:
    """Hours of this time whose sums lack calls; the running one is always a little behind, and does not count."""
    due = RollupDue.hour
    now = func.date_trunc("hour", func.now(), "UTC")
    query = select(func.count(distinct(due))).where(due >= since, due < until, due < now - timedelta(hours=1))
    return session.scalar(query) or 0


def rows(
    session: Session,
    since: datetime,
    until: datetime,
    *,
    grain: str = HOUR,
    segment: str | None = None,
    task_type: str | None = None,
) -> list[dict[str, Any]]:
    """From `since` on and before `until`, in the order of time; '' as a segment: of none.

    Without the latencies of failures, which nobody reads and which are most of what there is to parse.
    """
    where = [Rollup.grain == grain, Rollup.at >= since, Rollup.at < until]
    where.append(Rollup.detailed.is_(segment is not None or task_type is not None))
    where += [Rollup.segment == segment] if segment is not None else []
    where += [Rollup.task_type == task_type] if task_type is not None else []
    latency = case((Rollup.error_class == "", Rollup.latency), else_=cast("{}", JSONB)).label("latency")
    columns = [column for column in Rollup.__table__.c if column.name != "latency"]
    query = select(*columns, latency).where(*where).order_by(Rollup.at, Rollup.provider, Rollup.model, Rollup.source)
    return [dict(row._mapping) for row in session.execute(query)]


def of_rounds(session: Session, since: datetime, until: datetime, by: Sequence[str]) -> list[dict[str, Any]]:
    """What rounds and judge used in whole days, by columns, source and simulated."""
    kept = [getattr(Rollup, name) for name in dict.fromkeys((*by, "source", "simulated"))]
    names = ("prompt_tokens", "completion_tokens", "cost_usd")
    sums = [func.sum(getattr(Rollup, name)).label(name) for name in names]
    query = select(*kept, *sums).where(*_days(since, until), Rollup.source != LIVE).group_by(*kept)
    return [dict(row._mapping) for row in session.execute(query)]


def live_errors(session: Session, since: datetime, until: datetime) -> list[Row[Any]]:
    """Of whole days: provider, model, error_class ('': succeeded), calls."""
    kept = (Rollup.provider, Rollup.model, Rollup.error_class)
    query = select(*kept, func.sum(Rollup.calls)).where(*_days(since, until), Rollup.source == LIVE).group_by(*kept)
    return list(session.execute(query))


def _days(since: datetime, until: datetime) -> list[ColumnElement[bool]]:
    return [Rollup.grain == DAY, Rollup.detailed.is_(False), Rollup.at >= since, Rollup.at < until]


def delete_hours(session: Session, older: timedelta, limit: int) -> int:
    """Days stay."""
    old = select(func.date_trunc("day", func.now() - older, "UTC")).scalar_subquery()
    which = select(Rollup.at).where(Rollup.grain == HOUR, Rollup.at < old).order_by(Rollup.at).limit(limit)
    gone = delete(Rollup).where(Rollup.grain == HOUR, Rollup.at.in_(which)).returning(Rollup.at)
    return len(session.scalars(gone).all())

"""Sums that a comparison with baselines is made of: what app.domain.replay.baselines needs to know of single calls.

Of drawn requests per hour and day, of probes per day and week, by buckets of latency and of cost, so that what was too
slow or too dear by any reference can still be told. Made by app.store.rollups, together with its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.domain.evidence.histogram import GROWTH, LAST
from app.domain.replay.baseline_sums import LEAST_USD, DrawnSums, ProbedSums
from app.store.grains import DAY, PROVIDERS, WEEK
from app.store.models import DIGESTED, DrawnSum, ProbedSum

_MS_BUCKET = "least(:last, floor(ln(greatest(latency_ms, 1)) / ln(:growth)))::int"
_USD_BUCKET = "greatest(0, floor(ln(greatest(cost_usd, :least_usd) / :least_usd) / ln(:growth)))::int"


def _on_conflict(key: str, names: str) -> str:
    return f"ON CONFLICT ({key}) DO UPDATE SET {', '.join(f'{n} = excluded.{n}' for n in names.split(', '))}"


# ── drawn requests ───────────────────────────────────────────────────────────────────────────────────────────────────

_OF = "at, provider, model, simulated"
_DRAWN = "calls, weight, weight2, successes, weighted_successes, unpriced"
_DRAWN_INTO = f"INSERT INTO drawn_sums (grain, {_OF}, {_DRAWN}, latency, cost)"
_DRAWN_CONFLICT = _on_conflict(f"grain, {_OF}", f"{_DRAWN}, latency, cost")


def _drawn_histogram(name: str, bucket: str, value: str, where: str) -> str:
    return f"""
  {name} AS (
    SELECT {_OF}, jsonb_object_agg(bucket, jsonb_build_array(n, w, s, ws)) AS {name} FROM (
      SELECT {_OF}, {bucket} AS bucket, count(*) AS n, sum(w) AS w, sum({value}) AS s, sum(w * {value}) AS ws
      FROM calls WHERE {where} GROUP BY {_OF}, bucket
    ) AS buckets GROUP BY {_OF}
  )"""


_DRAWN_HOURS = text(
    f"""WITH RECURSIVE {PROVIDERS.format(name="providers", table="outcomes")},
    calls AS MATERIALIZED (
      SELECT h.at, c.provider, c.model, c.simulated, c.success, c.cost_usd, c.latency_ms, 1 / c.propensity AS w
      FROM unnest(CAST(:hours AS timestamptz[])) AS h(at) CROSS JOIN providers p
      CROSS JOIN LATERAL (
        SELECT * FROM outcomes o
        WHERE o.provider = p.provider AND o.at >= h.at AND o.at < h.at + interval '1 hour' OFFSET 0
      ) AS c
      WHERE c.attempt = 1 AND c.counts AND c.propensity > 0
    ), totals AS (
      SELECT {_OF}, count(*) AS calls, sum(w) AS weight, sum(w * w) AS weight2,
             count(*) FILTER (WHERE success) AS successes,
             coalesce(sum(w) FILTER (WHERE success), 0) AS weighted_successes,
             count(*) FILTER (WHERE success AND cost_usd IS NULL) AS unpriced
      FROM calls GROUP BY {_OF}
    ), {_drawn_histogram("latency", _MS_BUCKET, "latency_ms", "true")},
    {_drawn_histogram("cost", _USD_BUCKET, "cost_usd", "success AND cost_usd <> 0")}
    {_DRAWN_INTO}
    SELECT 'hour', {_OF}, {_DRAWN}, latency, coalesce(cost, '{{}}')
    FROM totals JOIN latency USING ({_OF}) LEFT JOIN cost USING ({_OF})
    {_DRAWN_CONFLICT}"""
)


def _added_histogram(name: str) -> str:
    return f"""
  {name}s AS (
    SELECT {_OF}, jsonb_object_agg(key, jsonb_build_array(n, w, s, ws)) AS {name} FROM (
      SELECT {_OF}, b.key, sum((b.value->>0)::bigint) AS n, sum((b.value->>1)::float8) AS w,
             sum((b.value->>2)::float8) AS s, sum((b.value->>3)::float8) AS ws
      FROM hours, jsonb_each({name}) AS b GROUP BY {_OF}, b.key
    ) AS buckets GROUP BY {_OF}
  )"""


_DRAWN_DAYS = text(
    f"""WITH hours AS (
      SELECT d.day AS at, {_OF.removeprefix("at, ")}, {_DRAWN}, latency, cost
      FROM unnest(CAST(:days AS timestamptz[])) AS d(day)
      JOIN drawn_sums r ON r.grain = 'hour' AND r.at >= d.day AND r.at < d.day + interval '1 day'
    ), totals AS (
      SELECT {_OF}, {", ".join(f"sum({name}) AS {name}" for name in _DRAWN.split(", "))} FROM hours GROUP BY {_OF}
    ), {_added_histogram("latency")}, {_added_histogram("cost")}
    {_DRAWN_INTO}
    SELECT 'day', {_OF}, {_DRAWN}, latency, coalesce(cost, '{{}}')
    FROM totals JOIN latencys USING ({_OF}) LEFT JOIN costs USING ({_OF})
    {_DRAWN_CONFLICT}"""
)

# ── probes ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_BY = "at, provider, model, prompt_id, simulated"
_PROBED = "calls, successes, unpriced, graded, quality"


def _probed_histogram(name: str, bucket: str, value: str, where: str) -> str:
    return f"""
  {name} AS (
    SELECT {_BY}, jsonb_object_agg(bucket, jsonb_build_array(n, s)) AS {name} FROM (
      SELECT {_BY}, {bucket} AS bucket, count(*) AS n, sum({value}) AS s
      FROM calls WHERE {where} GROUP BY {_BY}, bucket
    ) AS buckets GROUP BY {_BY}
  )"""


_PROBED_SUMS = text(
    f"""WITH RECURSIVE {PROVIDERS.format(name="providers", table="probes")},
    calls AS MATERIALIZED (
      SELECT h.at, c.provider, c.model, c.prompt_id, c.simulated, c.status = 'ok' AS success, c.quality, c.cost_usd,
             c.latency_ms
      FROM unnest(CAST(:starts AS timestamptz[])) AS h(at) CROSS JOIN providers p
      CROSS JOIN LATERAL (
        SELECT * FROM probes o WHERE o.provider = p.provider AND o.finished_at >= h.at
        AND o.finished_at < h.at + CAST(:width AS interval) OFFSET 0
      ) AS c
      JOIN rounds ON rounds.id = c.round_id AND rounds.status = ANY(CAST(:digested AS text[]))
      WHERE c.latency_ms IS NOT NULL AND c.counts
    ), totals AS (
      SELECT {_BY}, count(*) AS calls, count(*) FILTER (WHERE success) AS successes,
             count(*) FILTER (WHERE success AND cost_usd IS NULL) AS unpriced,
             count(quality) FILTER (WHERE success) AS graded,
             coalesce(sum(quality) FILTER (WHERE success), 0) AS quality
      FROM calls GROUP BY {_BY}
    ), {_probed_histogram("latency", _MS_BUCKET, "latency_ms", "true")},
    {_probed_histogram("cost", _USD_BUCKET, "cost_usd", "success AND cost_usd <> 0")}
    INSERT INTO probed_sums (grain, {_BY}, {_PROBED}, latency, cost)
    SELECT :grain, {_BY}, {_PROBED}, latency, coalesce(cost, '{{}}')
    FROM totals JOIN latency USING ({_BY}) LEFT JOIN cost USING ({_BY})
    {_on_conflict(f"grain, {_BY}", f"{_PROBED}, latency, cost")}"""
)
_WITH_PROBES = text(
    f"""WITH RECURSIVE {PROVIDERS.format(name="providers", table="probes")}
    SELECT h.at FROM unnest(CAST(:hours AS timestamptz[])) AS h(at) WHERE EXISTS (
      SELECT FROM providers p CROSS JOIN LATERAL (
        SELECT FROM probes o WHERE o.provider = p.provider AND o.finished_at >= h.at
        AND o.finished_at < h.at + interval '1 hour' LIMIT 1
      ) AS any_probe
    )"""
)


def make(
    session: Session, live: Sequence[datetime], probed: Sequence[datetime], oldest: tuple[datetime, datetime]
) -> None:
    """Anew, of hours with calls and of hours with probes; `oldest`: from when on probes, and hours, are all kept."""
    buckets = {"last": LAST, "growth": GROWTH, "least_usd": LEAST_USD}
    if live:
        session.execute(_DRAWN_HOURS, {"hours": live, **buckets})
        days = {hour.replace(hour=0) for hour in live}
        session.execute(_DRAWN_DAYS, {"days": sorted(day for day in days if day > oldest[1] + timedelta(hours=1))})
    hours = session.scalars(_WITH_PROBES, {"hours": probed}).all() if probed else []
    days = {hour.replace(hour=0) for hour in hours}
    weeks = {day - timedelta(days=day.weekday()) for day in days}
    for grain, width, starts in ((DAY, timedelta(days=1), days), (WEEK, timedelta(weeks=1), weeks)):
        whole = sorted(start for start in starts if start > oldest[0] + timedelta(hours=1))
        given = {"grain": grain, "width": width, "starts": whole, "digested": list(DIGESTED)}
        session.execute(_PROBED_SUMS, {**given, **buckets})


def drawn(session: Session, since: datetime, until: datetime, grain: str, *, simulated: bool) -> list[DrawnSums]:
    """Of all steps that begin in this time."""
    table = DrawnSum.__table__.c
    query = (
        select(
            *(table.at, table.provider, table.model, table.calls, table.weight, table.weight2, table.successes),
            *(table.weighted_successes, table.unpriced, table.latency, table.cost),
        )
        .where(table.grain == grain, table.at >= since, table.at < until, table.simulated == simulated)
        .order_by(table.at)
    )
    return [DrawnSums(at, f"{provider}/{model}", *rest) for at, provider, model, *rest in session.execute(query)]


def probed(session: Session, since: datetime, until: datetime, grain: str, *, simulated: bool) -> list[ProbedSums]:
    """Of all days or weeks that have a part in this time."""
    table = ProbedSum.__table__.c
    width = timedelta(weeks=1) if grain == WEEK else timedelta(days=1)
    query = (
        select(
            *(table.at, table.provider, table.model, table.prompt_id, table.calls, table.successes, table.unpriced),
            *(table.graded, table.quality, table.latency, table.cost),
        )
        .where(table.grain == grain, table.at > since - width, table.at < until, table.simulated == simulated)
        .order_by(table.at)
    )
    return [ProbedSums(at, f"{provider}/{model}", *rest) for at, provider, model, *rest in session.execute(query)]

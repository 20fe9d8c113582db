"""A year of rows, made by PostgreSQL itself: what the bench of reading reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, text

from app.domain.catalog import Target

KEYS, SEGMENTS, PROMPTS = 20, 3, 10
TASKS = ("default", "code", "extraction", "reasoning")

_TARGETS = "targets(n, provider, model, ms, usd, chance) AS (VALUES {values})"
#: the first target has most; the others are drawn as exploration
_OUTCOMES = """
WITH {targets}, drawn AS (
  SELECT i, now() - make_interval(days => :day) + random() * interval '1 day' AS at,
         CASE WHEN random() < :explored THEN 1 + floor(random() * ({count} - 1))::int ELSE 0 END AS n,
         random() AS u, random() AS v, random() AS w
  FROM generate_series(1, :rows) AS i
)
INSERT INTO outcomes (request_id, attempt, at, provider, model, task_type, segment, success, latency_ms, explored,
  propensity, revision, prompt_tokens, completion_tokens, cost_usd, error_class, counts, simulated)
SELECT 'req-' || :day || '-' || i, 1, d.at, t.provider, t.model, (ARRAY[{tasks}])[1 + floor(u * {task_count})::int],
       NULLIF('s' || floor(w * {segments})::int, 's0'), v > .03, t.ms * exp(.4 * (u + v + w - 1.5)), d.n > 0, t.chance,
       1, 200 + (u * 800)::int, 50 + (v * 300)::int, CASE WHEN v > .03 THEN t.usd * (.5 + w) END,
       CASE WHEN v <= .01 THEN 'timeout' WHEN v <= .03 THEN 'overloaded' END, true, true
FROM drawn d JOIN targets t USING (n)
"""
_ROUNDS = """
INSERT INTO rounds (id, slot_start, trigger, status, planned_at, deadline_at, finished_at, expected_n, simulated,
                    insights)
SELECT 'benchmark-' || h, date_trunc('hour', now()) - make_interval(hours => h), 'schedule', 'done',
       date_trunc('hour', now()) - make_interval(hours => h),
       date_trunc('hour', now()) - make_interval(hours => h) + interval '10 minutes',
       date_trunc('hour', now()) - make_interval(hours => h) + interval '2 minutes', {count} * {prompts}, true,
       '[{{"kind": "weights", "text": "nothing moved", "data": {{}}}}]'
FROM generate_series(1, :days * 24) AS h
"""
_PROBES = """
WITH {targets}
INSERT INTO probes (round_id, provider, model, prompt_id, status, attempt, task_type, finished_at, latency_ms, quality,
                    cost_usd, prompt_tokens, completion_tokens, counts, simulated)
SELECT r.id, t.provider, t.model, 'prompt-' || p, CASE WHEN u > .02 THEN 'ok' ELSE 'error' END, 1, 'default',
       r.finished_at, t.ms * exp(.4 * (u - .5)), CASE WHEN u > .02 THEN .7 + .3 * u END,
       CASE WHEN u > .02 THEN t.usd END, 100, 100, true, true
FROM rounds r, targets t, generate_series(1, {prompts}) AS p, LATERAL (SELECT random() + 0 * p AS u) AS luck
"""
_REQUESTS = """
WITH {targets}
INSERT INTO requests (request_id, at, key, segment, task_type, asked, stream, status, provider, model, latency_ms,
  prompt_tokens, completion_tokens, cost_usd, simulated, revision, attempts, explanation, explored, fell_over)
SELECT 'req-log-' || i, now() - (i::float8 / :rows) * interval '14 days', 'key-' || i % {keys}, NULL, 'default', 'auto',
       false, CASE WHEN i % 50 = 0 THEN 'overloaded' ELSE 'ok' END, t.provider, t.model, t.ms * (1 + (i % 100) / 100.0),
       200, 100, t.usd, true, 1,
       jsonb_build_array(jsonb_build_object('provider', t.provider, 'model', t.model, 'latencyMs', t.ms,
         'error', CASE WHEN i % 50 = 0 THEN '{{"code": "overloaded", "message": "too many"}}'::jsonb END)),
       jsonb_build_object('reason', 'ranked', 'order', jsonb_build_array(t.provider || '/' || t.model),
         'explored', false, 'candidates', (SELECT jsonb_agg(jsonb_build_object('target', provider, 'score', ms,
         'parts', jsonb_build_object('latency', ms, 'cost', usd, 'reliability', .9))) FROM targets)), false, false
FROM generate_series(1, :rows) AS i JOIN targets t ON t.n = (i % {count})
"""
_USAGE = """
WITH {targets}
INSERT INTO usage (day, key, segment, provider, model, simulated, requests, failed, unpriced, prompt_tokens,
                   completion_tokens, cost_usd)
SELECT (now() AT TIME ZONE 'UTC')::date - d, 'key-' || k, CASE s WHEN 0 THEN '' ELSE 's' || s END, t.provider, t.model,
       true, 114, 2, 0, 50000, 20000, 114 * t.usd
FROM generate_series(0, :days - 1) AS d, generate_series(0, {keys} - 1) AS k, generate_series(0, {segments} - 1) AS s,
     targets t
"""
_KEY = "ALTER TABLE outcomes {} CONSTRAINT pk_outcomes {}"
_INDEX = ("DROP INDEX ix_outcomes_provider_at", "CREATE INDEX ix_outcomes_provider_at ON outcomes (provider, at)")


@dataclass(frozen=True, slots=True)
class Size:
    days: int
    outcomes: int
    requests: int


def fill(engine: Engine, targets: Sequence[Target], size: Size) -> None:
    """Of an empty database; by day, so that nothing of it has to be in memory."""
    names = {"targets": _values(targets), "count": len(targets), "keys": KEYS, "segments": SEGMENTS}
    names |= {"prompts": PROMPTS, "tasks": ", ".join(f"'{t}'" for t in TASKS), "task_count": len(TASKS)}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:

        def run(statement: str, **given: float) -> None:
            connection.execute(text(statement.format(**names)), given)

        run("SET statement_timeout = 0")
        for statement in (_INDEX[0], _KEY.format("DROP", "")):
            run(statement)
        for day in range(size.days):
            run(_OUTCOMES, day=day + 1, rows=size.outcomes // size.days, explored=0.1)
        for statement in (_KEY.format("ADD", "PRIMARY KEY (request_id, attempt)"), _INDEX[1]):
            run(statement)
        run(_ROUNDS, days=size.days)
        run(_PROBES)
        run(_REQUESTS, rows=size.requests)
        run(_USAGE, days=size.days)
        run("TRUNCATE rollup_due")
        run("INSERT INTO rollup_due (hour) SELECT date_trunc('hour', now(), 'UTC') - make_interval(hours => h)"
            " FROM generate_series(0, :hours) AS h", hours=size.days * 24)  # fmt: skip
        run("VACUUM ANALYZE")


def _values(targets: Sequence[Target]) -> str:
    rows = []
    for n, target in enumerate(targets):
        chance = 0.9 if n == 0 else 0.1 / (len(targets) - 1)
        of = f"{n}, '{target.provider}', '{target.model}'"
        rows.append(f"({of}, {300 + 150 * n}, {0.002 / (n + 1):.6f}, {chance:.6f}::float8)")
    return _TARGETS.format(values=", ".join(rows))

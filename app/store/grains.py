"""Steps of time that calls are summed up by, and how the calls of an hour are found."""

from __future__ import annotations

#: in UTC; weeks begin on Monday
HOUR, DAY, WEEK = "hour", "day", "week"

# Outcomes and probes have an index by provider and time, and none that finds an hour by itself: the providers are
# looked up. Whoever joins with it says OFFSET 0 in LATERAL: each hour of each provider is looked for by itself; the
# planner, who thinks of many more providers than there are, would read the whole table.
PROVIDERS = """
  {name}(provider) AS (
    (SELECT provider FROM {table} ORDER BY provider LIMIT 1)
    UNION ALL
    SELECT (SELECT t.provider FROM {table} t WHERE t.provider > p.provider ORDER BY t.provider LIMIT 1)
    FROM {name} p WHERE p.provider IS NOT NULL
  )"""

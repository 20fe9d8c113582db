"""The charts of the first page: where traffic went, and how each target did, on one time axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.api.pages import charts
from app.api.pages.blueprint import colours
from app.api.pages.charts import Chart
from app.store import rollups


def share_and_others(found: Mapping[str, Any]) -> tuple[Chart | None, list[Chart]]:
    """Of a timeline: each target's share, None without traffic; and small multiples of live calls, else of rounds."""
    hues = colours()
    source = charts.best_source(found)
    share = charts.of_timeline(found, charts.SHARE, hues, source) if source == rollups.LIVE else None
    measures = [charts.P50, charts.P95, charts.SUCCESS, charts.COST]
    others = [charts.of_timeline(found, measure, hues, source) for measure in measures]
    return share, [*others, charts.of_timeline(found, charts.QUALITY, hues, rollups.BENCHMARK)]

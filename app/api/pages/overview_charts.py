"""The charts of the first page: where traffic went, and how each target did, on one time axis."""

from __future__ import annotations

from app.api.current import gateway
from app.api.pages import charts
from app.api.pages.asked import Asked
from app.api.pages.blueprint import colours
from app.api.pages.charts import Chart
from app.api.pages.timeline import parameters
from app.api.system.timeline import timeline_json
from app.store import rollups


def share_and_others(seen: Asked) -> tuple[Chart | None, list[Chart]]:
    """The share of each target, None where there was no traffic; and small multiples of live calls, else of rounds."""
    found, hues = timeline_json(gateway().services, parameters(seen)), colours()
    source = charts.best_source(found)
    share = charts.of_timeline(found, charts.SHARE, hues, source) if source == rollups.LIVE else None
    measures = [charts.P50, charts.P95, charts.SUCCESS, charts.COST]
    others = [charts.of_timeline(found, measure, hues, source) for measure in measures]
    return share, [*others, charts.of_timeline(found, charts.QUALITY, hues, rollups.BENCHMARK)]

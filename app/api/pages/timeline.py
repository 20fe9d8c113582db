"""/timeline: what every target got and gave over time, and what happened when."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from app.api.current import gateway
from app.api.pages import charts
from app.api.pages.asked import Asked, asked
from app.api.pages.blueprint import colours, page, pages
from app.api.queries import Query
from app.api.system.timeline import timeline_json
from app.domain.catalog import TaskType
from app.store import rollups

SOURCES = {rollups.LIVE: "live traffic", rollups.BENCHMARK: "rounds"}
#: markers in the list under the charts
LISTED = 100


@pages.get("/timeline")
def timeline() -> Response:
    """Charts on one time axis; drag over one to see that part."""
    seen = asked()
    found = timeline_json(gateway().services, parameters(seen))
    source = Query({"source": request.args.get("source", "")}, ("source",)).one_of("source", tuple(SOURCES))
    shown = source or charts.best_source(found)
    measures = [charts.SHARE] if shown == rollups.LIVE else []
    measures += [charts.P50, charts.P95, charts.SUCCESS, charts.COST]
    measures += [charts.QUALITY] if shown == rollups.BENCHMARK else []
    return page(
        "timeline",
        "Timeline",
        charts=[charts.of_timeline(found, measure, colours(), shown) for measure in measures],
        totals=[total for total in found["totals"] if total["source"] == shown],
        markers=_told(found["markers"]),
        found=found,
        sources=SOURCES,
        source=shown,
        segments=sorted(gateway().services.config.value.segments),
        tasks=[task.value for task in TaskType],
        task=request.args.get("taskType", ""),
    )


def parameters(seen: Asked) -> dict[str, str]:
    """Of the API's timeline; the task type only where the URL names one."""
    given = {"from": str(seen.from_ms), "to": str(seen.to_ms), "segment": seen.segment or ""}
    return {**given, "taskType": request.args.get("taskType", "")}


def _told(markers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Newest first; a round is told where something came of it."""
    return [each for each in reversed(markers) if each["kind"] != "round" or each["status"] != "done"][:LISTED]

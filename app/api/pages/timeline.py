"""/timeline: what every target got and gave over time, and what happened when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask import Response, request

from app.api.current import gateway
from app.api.pages import charts
from app.api.pages.asked import Asked, asked
from app.api.pages.blueprint import HUES, colours, drawn, live, page, pages
from app.api.queries import Query
from app.api.system.timeline import timeline_json
from app.domain.catalog import TaskType
from app.store import rollups

SOURCES = {rollups.LIVE: "live traffic", rollups.BENCHMARK: "rounds"}
#: markers in the list under the charts
LISTED = 100
#: s between two looks of open pages
LOOK_S = 20.0


@pages.get("/timeline")
def timeline() -> Response:
    """Charts on one time axis; drag over one to see that part."""
    seen = asked()
    found = timeline_json(gateway().services, parameters(seen))
    source = _source(found)
    return page(
        "timeline",
        "Timeline",
        rows=_rows(found, source),
        charts=[measure.id for measure in _measures(source)],
        is_empty=not _totals(found, source),
        found=found,
        sources=SOURCES,
        source=source,
        segments=sorted(gateway().services.config.value.segments),
        tasks=[task.value for task in TaskType],
        task=request.args.get("taskType", ""),
    )


@live("timeline", every_s=LOOK_S)
def rows(seen: Asked) -> Iterator[tuple[str, str]]:
    found = timeline_json(gateway().services, parameters(seen))
    yield from _rows(found, _source(found)).items()


def _rows(found: Mapping[str, Any], source: str) -> dict[str, str]:
    """A chart each, the table under them, what happened; `shape` is another where the page has other parts."""
    hues, totals, measures = colours(), _totals(found, source), _measures(source)
    charted = {each.id: charts.of_timeline(found, each, hues, source) for each in measures} if totals else {}
    return {
        "shape": drawn("parts.html", "shape", f"{source} {'full' if totals else 'empty'}"),
        **{name: drawn("charts.html", "drawn", chart) for name, chart in charted.items()},
        **({"totals": drawn("timeline_rows.html", "totals", totals, hues, HUES)} if totals else {}),
        "markers": drawn("timeline_rows.html", "happened", _told(found["markers"])),
    }


def _source(found: Mapping[str, Any]) -> str:
    given = Query({"source": request.args.get("source", "")}, ("source",)).one_of("source", tuple(SOURCES))
    return given or charts.best_source(found)


def _measures(source: str) -> list[charts.Measure]:
    measures = [charts.SHARE] if source == rollups.LIVE else []
    measures += [charts.P50, charts.P95, charts.SUCCESS, charts.COST]
    return measures + ([charts.QUALITY] if source == rollups.BENCHMARK else [])


def _totals(found: Mapping[str, Any], source: str) -> list[dict[str, Any]]:
    return [total for total in found["totals"] if total["source"] == source]


def parameters(seen: Asked) -> dict[str, str]:
    """Of the API's timeline; the task type only where the URL names one."""
    given = {"from": str(seen.from_ms), "to": str(seen.to_ms), "segment": seen.segment or ""}
    return {**given, "taskType": request.args.get("taskType", "")}


def _told(markers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Newest first; a round is told where something came of it."""
    return [each for each in reversed(markers) if each["kind"] != "round" or each["status"] != "done"][:LISTED]

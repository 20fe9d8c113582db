"""/: where traffic goes now, what needs a person, what changed last, and the round that runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask import Response, current_app

from app.api.current import gateway
from app.api.pages.asked import RANGES, Asked, asked, page_age_s
from app.api.pages.blueprint import HUES, colours, drawn, live, page, pages
from app.api.pages.kept import Kept
from app.api.pages.overview_charts import share_and_others
from app.api.pages.timeline import parameters
from app.api.system import attention, runtime_config
from app.api.system.measurements import standing
from app.api.system.round_events import progress
from app.api.system.timeline import timeline_json
from app.domain.catalog import TaskType
from app.errors import DependencyUnavailable
from app.store import database, rounds
from app.store.rollups import LIVE

#: of the last changes
CHANGES = 5
#: revisions that are looked through for them: most of an hour's rounds change nothing that steers
LOOKED_THROUGH = 40
#: s that the sums of traffic stand
SUMS_S = 15.0


@pages.get("/")
def overview() -> Response:
    """The first page."""
    seen = asked()
    segments = sorted(gateway().services.config.value.segments)
    tasks = [task.value for task in TaskType]
    found = _known(lambda: timeline_json(gateway().services, parameters(seen)))
    over_time, shares = (None, None) if found is None else (share_and_others(found), went(seen, found))
    return page("overview", "Overview", **values(seen, shares), charts=over_time, segments=segments, tasks=tasks)


@live("overview")
def rows(seen: Asked) -> Iterator[tuple[str, str]]:
    shown = values(seen, _known(lambda: _went_lately(seen)))
    for name in ("attention", "sentence", "running", "changes"):
        yield name, _drawn(name, shown)
    for place, candidate in enumerate(shown["standing"]["candidates"], 1):
        yield f"place-{place}", _row(place, candidate)


def values(seen: Asked, shares: dict[str, Any] | None) -> dict[str, Any]:
    """What the page shows; what PostgreSQL alone knows is None while it is away."""
    return {
        "standing": standing(seen.segment, seen.task_type),
        "attention": [item.to_json() for item in attention.present()],
        "went": shares,
        "running": _known(running),
        "changes": _known(_changes),
    }


def _went_lately(seen: Asked) -> dict[str, Any]:
    """The sums over the time that is looked at, shared by the pages that are open."""
    kept: Kept[dict[str, Any]] = current_app.extensions.setdefault("tooloo.sums", Kept())
    given = parameters(seen)
    key = (seen.range or (seen.from_ms, seen.to_ms), seen.segment, given["taskType"])
    return kept.of(key, min(SUMS_S, page_age_s()), lambda: went(seen, timeline_json(gateway().services, given)))


def went(seen: Asked, found: Mapping[str, Any]) -> dict[str, Any]:
    """Of a timeline: its live calls, and the share of each target, the largest first."""
    live_ones = [each for each in found["totals"] if each["source"] == LIVE]
    calls = sum(each["calls"] for each in live_ones)
    shares = {f"{each['provider']}/{each['model']}": each["calls"] / calls for each in live_ones if each["calls"]}
    span = f"the last {RANGES[seen.range][0]}" if seen.range else "the time that the link names"
    return {"span": span, "calls": calls, "shares": sorted(shares.items(), key=lambda pair: -pair[1])}


def running() -> dict[str, Any]:
    """How far the oldest round is that is under way; {} where none is."""
    services = gateway().services
    with database.transaction(services.sessions) as session:
        found = rounds.open_rounds(session)
    return progress(services, found[0]) if found else {}


def _changes() -> list[dict[str, Any]]:
    """The latest revisions that changed what steers: not how far the optimizer is with its counting."""
    found = []
    for revision in runtime_config.past(LOOKED_THROUGH):
        steering = [change for change in revision["changes"] if not change["path"].startswith("metadata.")]
        if steering or revision["parent"] is None:
            found.append({**revision, "changes": steering})
    return found[:CHANGES]


def _known(ask: Any) -> Any:
    try:
        return ask()
    except DependencyUnavailable:
        return None


def _drawn(macro: str, shown: dict[str, Any]) -> str:
    given = (shown["standing"], shown["went"]) if macro == "sentence" else (shown[macro],)
    return drawn("overview_rows.html", macro, *given)


def _row(place: int, candidate: dict[str, Any]) -> str:
    return drawn("overview_rows.html", "candidate_row", place, candidate, colours(), HUES)

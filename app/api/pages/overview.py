"""/: where traffic goes now, what needs a person, what changed last, and the round that runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response, get_template_attribute

from app.api.current import gateway
from app.api.pages.asked import Asked, asked
from app.api.pages.blueprint import HUES, colours, live, page, pages
from app.api.system.measurements import standing
from app.domain.catalog import TaskType


@pages.get("/")
def overview() -> Response:
    """The first page."""
    seen = asked()
    return page("overview", "Overview", **_values(seen), segments=_segments(), tasks=[task.value for task in TaskType])


@live("overview")
def rows(seen: Asked) -> Iterator[tuple[str, str]]:
    values = _values(seen)
    yield "sentence", _drawn("sentence", values["standing"])
    for place, candidate in enumerate(values["standing"]["candidates"], 1):
        yield row_id(place), _drawn("candidate_row", place, candidate, colours(), HUES)


def row_id(place: int) -> str:
    return f"place-{place}"


def _values(seen: Asked) -> dict[str, Any]:
    return {"standing": standing(seen.segment, seen.task_type)}


def _drawn(macro: str, *values: object) -> str:
    return str(get_template_attribute("overview_rows.html", macro)(*values)).strip()


def _segments() -> list[str]:
    return sorted(gateway().services.config.value.segments)

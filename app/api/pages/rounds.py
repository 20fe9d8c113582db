"""/rounds: what was measured, and measure now; /rounds/{id}: every answer with its grade and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response, request

from app.api.current import gateway
from app.api.pages.asked import Asked
from app.api.pages.blueprint import HUES, colours, drawn, live, page, pages
from app.api.pages.figures import day
from app.api.pages.overview import running
from app.api.system.round_events import progress
from app.api.system.shapes import round_json
from app.errors import NotFound
from app.live.live_config import to_ms
from app.store import database, round_list
from app.store import rounds as store
from app.store.models import Round
from app.store.round_list import Tally

#: rounds in the list
LATEST = 50
#: of a grade between 0 and 1, as classes of style.css
GRADES = 5


@pages.get("/rounds")
def rounds() -> Response:
    """The latest rounds."""
    services = gateway().services
    prompts = [prompt.id for prompt in services.prompts if prompt.enabled]
    return page(
        "rounds", "Rounds", rounds=_latest(), running=running(), providers=list(services.endpoints), prompts=prompts
    )


@live("rounds")
def rows(_: Asked) -> Iterator[tuple[str, str]]:
    yield "running", drawn("overview_rows.html", "running", running())
    yield "rounds", drawn("rounds_rows.html", "body", _latest())


@pages.get("/rounds/<subject>")
def round_page(subject: str) -> Response:
    """One round: target × prompt, and the answers to one prompt side by side."""
    found = _round(subject)
    chosen = request.args.get("prompt") or next((each["promptId"] for each in found["results"]), "")
    answers = [each for each in found["results"] if each["promptId"] == chosen]
    state = progress(gateway().services, subject)
    title = f"Round of {day(found['timestamp'])}"
    return page("round", title, round=found, state=state, chosen=chosen, answers=answers, grade=grade)


@live("round")
def round_rows(_: Asked) -> Iterator[tuple[str, str]]:
    subject = request.args.get("subject", "")
    yield "state", drawn("rounds_rows.html", "state", progress(gateway().services, subject))
    yield "map", drawn("rounds_rows.html", "heat_map", _round(subject), colours(), HUES, grade)


def grade(cell: dict[str, Any] | None) -> str:
    """Class of a cell of the heat map."""
    if cell is None:
        return "waits"
    if cell["error"]:
        return "failed"
    if cell["qualityScore"] is None:
        return "ungraded" if cell["success"] else "waits"
    return f"grade{min(GRADES - 1, int(cell['qualityScore'] * GRADES))}"


def _latest() -> list[dict[str, Any]]:
    with database.transaction(gateway().services.sessions) as session:
        records = round_list.latest(session, LATEST)
        tallies = round_list.tallies(session, [record.id for record in records])
        return [_line(record, tallies.get(record.id)) for record in records]


def _line(record: Round, tally: Tally | None) -> dict[str, Any]:
    return {
        "id": record.id,
        "plannedAt": to_ms(record.planned_at),
        "finishedAt": None if record.finished_at is None else to_ms(record.finished_at),
        "trigger": record.trigger,
        "status": record.status,
        "degraded": record.degraded,
        "simulated": record.simulated,
        "tally": tally,
        "estimatedCostUsd": record.estimated_cost_usd,
    }


def _round(round_id: str) -> dict[str, Any]:
    services = gateway().services
    with database.transaction(services.sessions) as session:
        record = None if "\x00" in round_id else store.get(session, round_id)
        if record is None:
            raise NotFound(f"there is no round {round_id!r}", field="roundId")
        return round_json(record, store.probes(session, [round_id]), {prompt.id: prompt for prompt in services.prompts})

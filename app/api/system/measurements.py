"""/api/v1/system: benchmark rounds, scorecard, insights."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Blueprint, Response, request
from pydantic import Field

from app.api.current import gateway
from app.api.envelope import Body, body, ok
from app.api.names import NAME_LIMIT, Name
from app.api.queries import Query
from app.api.system.round_events import progress
from app.api.system.shapes import insights_json, round_json, round_summary_json
from app.benchmark import benchmark, planning
from app.benchmark.planning import Selection
from app.domain.catalog import Target, TaskType
from app.domain.routing import router
from app.errors import InvalidRequest
from app.live import live_config
from app.services import Services
from app.store import database, rounds
from app.store.models import Probe

HISTORY_LIMIT = 100
#: rounds in `history`, as the specification has it
HISTORY = 10


class BenchmarkBody(Body):
    providers: Annotated[list[Name], Field(max_length=100)] = Field(default_factory=list)
    prompts: Annotated[list[Name], Field(max_length=1000)] = Field(default_factory=list)
    #: also where a round is under way
    beside: bool = False


system = Blueprint("system", __name__, url_prefix="/api/v1/system")


@system.get("/benchmark-results")
def benchmark_results() -> Response:
    """The latest rounds with every probe's result; `fields=summary`: without."""
    services = gateway().services
    limit, summary = _limit(HISTORY), _is_summary()
    with database.transaction(services.sessions) as session:
        records = rounds.finished(session, limit)
        by_round: dict[str, list[Probe]] = {record.id: [] for record in records}
        for probe in rounds.probes(session, list(by_round), with_answers=not summary):
            by_round[probe.round_id].append(probe)
        total = rounds.count_finished(session)
        prompts = {prompt.id: prompt for prompt in services.prompts}
        history = [
            round_summary_json(record, by_round[record.id])
            if summary
            else round_json(record, by_round[record.id], prompts)
            for record in records
        ]
    return ok({"latest": history[0] if history else None, "history": history, "totalRounds": total})


@system.post("/benchmarks")
def start_benchmark() -> Response:
    """Start a round now; 202 with its id."""
    services = gateway().services
    wanted: BenchmarkBody = body(BenchmarkBody)
    selection = Selection(tuple(wanted.providers), tuple(wanted.prompts))
    return ok({"roundId": benchmark.start_round(services, "manual", selection, alone=not wanted.beside)}, 202)


@system.get("/benchmarks/estimate")
def estimate_benchmark() -> Response:
    """What a round would ask and cost if it were started now, of `provider` and `prompt` alone where they are named."""
    selection = Selection(tuple(request.args.getlist("provider")), tuple(request.args.getlist("prompt")))
    return ok(planning.estimate(gateway().services, selection).to_json())


@system.get("/benchmarks/<round_id>")
def benchmark_progress(round_id: str) -> Response:
    """How far a round is, by provider, and how long it will take."""
    return ok(progress(gateway().services, round_id))


@system.get("/scorecard")
def scorecard() -> Response:
    """What is known of each target, its score, and the order in which requests try them."""
    return ok(standing(_segment(), _task_type()))


def _label(provider: str) -> dict[str, bool]:
    """Of the lab's, where others are real; where all are, the whole says so."""
    return {"simulated": True} if provider in gateway().services.simulated_beside_real else {}


def standing(segment: str | None, task: TaskType) -> dict[str, Any]:
    """Where requests go now, and why."""
    services = gateway().services
    plan = gateway().plan(segment, live_config.utc_now(), task)
    quotas = services.quotas.left(each.target for each in plan.candidates)
    return {
        "taskType": plan.task.value,
        "configVersion": services.config.value.version,
        "explorationRate": services.config.value.effective_exploration_rate,
        "simulated": services.simulated,
        "objective": _objective(services),
        "ceiling": None if plan.pacing is None else plan.pacing.to_json(),
        "candidates": [
            {**each, "quota": quotas.get(Target(each["provider"], each["model"])), **_label(each["provider"])}
            for each in router.candidates_json(plan)
        ],
        "leftOut": [
            {"provider": name, "reason": reason} for name, reason in services.left_out(services.config.value).items()
        ],
    }


def _objective(services: Services) -> dict[str, Any]:
    """What "better" means here; `learned`: the references that nobody declared."""
    declared = services.policy.objective
    objective = services.objective
    open_ = {"latencyRefMs": declared.latency_ref_ms, "costRefUsd": declared.cost_ref_usd}
    return {
        "latency": objective.latency,
        "cost": objective.cost,
        "latencyRefMs": objective.latency_ref_ms,
        "costRefUsd": objective.cost_ref_usd,
        "maxCostUsd": objective.max_cost_usd,
        "learned": [name for name, value in open_.items() if not value],
    }


@system.get("/insights")
def insights() -> Response:
    """What rounds found and did, newest first; `fields=summary`: without the numbers behind each sentence."""
    services, summary = gateway().services, _is_summary()
    with database.transaction(services.sessions) as session:
        found = insights_json(rounds.with_insights(session, _limit(HISTORY)))
    if summary:
        found = [{name: value for name, value in each.items() if name != "data"} for each in found]
    return ok({"insights": found})


def _is_summary() -> bool:
    return Query(request.args, ("limit", "fields")).is_summary()


def _segment() -> str | None:
    """One that no config knows is ranked for as nobody; it is kept nowhere but in a plan, for a second."""
    given = request.args.get("segment")
    if given is not None and len(given) > NAME_LIMIT:
        raise InvalidRequest(f"segment must have 1 to {NAME_LIMIT} characters: got {len(given)}", field="segment")
    return given


def _task_type() -> TaskType:
    text = request.args.get("taskType", TaskType.DEFAULT.value)
    try:
        return TaskType(text)
    except ValueError:
        known = ", ".join(TaskType)
        raise InvalidRequest(f"taskType must be one of {known}: got {text!r}", field="taskType") from None


def _limit(default: int) -> int:
    text = request.args.get("limit", str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= HISTORY_LIMIT:
        raise InvalidRequest(f"limit must be a number from 1 to {HISTORY_LIMIT}: got {text!r}", field="limit")
    return int(text)

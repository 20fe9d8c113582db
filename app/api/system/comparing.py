"""/api/v1/system: is routing better than other ways to choose, and what would another configuration have done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

from flask import Blueprint, Response, request
from pydantic import Field, ValidationError

from app.api.current import gateway
from app.api.envelope import Body, body, ok
from app.api.queries import Query
from app.domain.config.partial_weights import completed
from app.domain.config.runtime_config import Weights
from app.domain.policy import Objective
from app.errors import InvalidRequest
from app.evidence import baselines as baselines_
from app.evidence import what_if as what_if_
from app.evidence.compared_time import BY
from app.services import Services
from app.store import database

PARAMETERS = ("from", "to")
BASELINE_PARAMETERS = (*PARAMETERS, "by")
#: where nobody says
SPAN = timedelta(days=7)

comparing = Blueprint("comparing", __name__, url_prefix="/api/v1/system")

Share = Annotated[float, Field(ge=0, le=1)]
#: of the objective: a loss of ten answers for one that is too slow is a slip
Price = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]


class WeightsBody(Body):
    """In part: the others share the rest."""

    latency: Share | None = None
    cost: Share | None = None
    reliability: Share | None = None


class ObjectiveBody(Body):
    latency: Price | None = None
    cost: Price | None = None
    latency_ref_ms: Annotated[float, Field(gt=0, le=3_600_000)] | None = None
    cost_ref_usd: Annotated[float, Field(gt=0, le=1000)] | None = None


class WhatIfBody(Body):
    weights: WeightsBody | None = None
    objective: ObjectiveBody | None = None


@comparing.get("/baselines")
def baselines() -> Response:
    """What routing gave beside always the first, the cheapest, the best in hindsight, and one at random.

    Per call, with 95 % intervals, from the recorded probabilities of first places and the rounds; `verdict` says
    "cannot tell" where the interval holds 0, or where there is too little. `saved`: of all requests together. `series`:
    the same per day (UTC), week or month, with `by`.
    """
    return ok(baselines_json(gateway().services, request.args))


def baselines_json(services: Services, given: Mapping[str, str]) -> dict[str, Any]:
    """What the route answers; raises InvalidRequest that names a parameter."""
    query = Query(given, BASELINE_PARAMETERS)
    by = query.one_of("by", tuple(BY))
    with database.transaction(services.sessions) as session:
        start, end = query.span(database.now(session), SPAN)
    if by is not None and end - start > BY[by]:
        raise InvalidRequest(f"from must lie within {BY[by].days} days before to with by={by}", field="from")
    return baselines_.compared(services, start, end, by)


@comparing.post("/what-if")
def what_if() -> Response:
    """What other weights, another objective or other references would have done with the recorded time.

    Changes nothing. Of long times the latest rounds and requests are replayed. `whatIf` beside `now`: shares, latency,
    cost, success, quality, utility by the objective asked for; `moved`: share of requests that would have gone
    elsewhere.
    """
    return ok(what_if_json(gateway().services, request.args, body(WhatIfBody)))


def what_if_json(services: Services, given: Mapping[str, str], asked: WhatIfBody) -> dict[str, Any]:
    """What the route answers; raises InvalidRequest that names the field."""
    query = Query(given, PARAMETERS)
    with database.transaction(services.sessions) as session:
        start, end = query.span(database.now(session), SPAN)
    try:
        return what_if_.compared(services, start, end, _weights(services, asked), _objective(services, asked))
    except ValueError as error:
        raise InvalidRequest(f"{error}: a round must lie in the time asked for", field="from") from None


def _weights(services: Services, asked: WhatIfBody) -> Weights | None:
    if asked.weights is None:
        return None
    held = services.config.value.global_.provider_weights.model_dump()
    given = asked.weights.model_dump(exclude_none=True)
    try:
        return Weights.model_validate(completed(held, given) or held)
    except ValidationError:
        raise InvalidRequest(
            f"weights must be shares that sum to 1: got {sum(given.values()):.4g}", field="weights"
        ) from None


def _objective(services: Services, asked: WhatIfBody) -> Objective:
    held = services.objective
    return held if asked.objective is None else replace(held, **asked.objective.model_dump(exclude_none=True))

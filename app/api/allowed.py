"""What is left to who asks: looked up before their request is served, and told in the headers of its answer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from flask import Response, g, request

from app.access.allowance import Allowance
from app.access.allowances import Allowances
from app.access.refusals import warning
from app.api.edge import TICKET
from app.api.lean import Answer
from app.domain.key_limits import KeyLimits
from app.live import live_config

#: where a request tells how much it may use: asked for then
SIZED = frozenset(
    {
        *("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/embeddings"),
        "/api/v1/chat",
    }
)
#: … whatever the method
SIZED_FOLDER = "/v1/passthrough/"
ANTHROPIC = ("/v1/messages", "/v1/anthropic/")
WARNING = "x-tooloo-budget-warning"


def admit(allowances: Allowances, key_id: str, name: str, limits: KeyLimits) -> None:
    """Raises TooManyRequests where nothing is left; what is counted ends with the request."""
    asked = g.allowance = allowances.of(key_id, name, limits)
    if (ticket := request.environ.get(TICKET)) is not None:
        ticket.then = asked.close
    path = request.path
    allowances.begin(asked, sized=(request.method == "POST" and path in SIZED) or path.startswith(SIZED_FOLDER))


def allowance() -> Allowance | None:
    """Of the present request; None: its key has no limits."""
    found: Allowance | None = g.get("allowance")
    return found


def show(response: Response | Answer) -> None:
    """In the headers that clients of the protocol look for."""
    asked = allowance()
    if asked is None:
        return
    if (said := warning(asked)) is not None:
        response.headers[WARNING] = said
    path = request.path
    if path.startswith(ANTHROPIC):
        written = _anthropic(asked)
    elif path.startswith("/v1/"):
        written = _openai(asked)
    else:
        written = _own(asked)
    for name, value in written:
        response.headers[name] = value


def _left(asked: Allowance) -> Iterator[tuple[str, int, int, float]]:
    """What is bounded: kind, limit, what is left of it, and the s until it is anew."""
    if (told := asked.figures) is None:
        return
    for kind, most, used in (
        ("requests", asked.limits.requests_per_minute, told.requests),
        ("tokens", asked.limits.tokens_per_minute, told.tokens),
    ):
        if most is not None:
            yield kind, most, max(0, most - used), told.left_s


def _openai(asked: Allowance) -> Iterator[tuple[str, str]]:
    for kind, most, left, reset_s in _left(asked):
        yield f"x-ratelimit-limit-{kind}", str(most)
        yield f"x-ratelimit-remaining-{kind}", str(left)
        yield f"x-ratelimit-reset-{kind}", f"{math.ceil(reset_s)}s"


def _anthropic(asked: Allowance) -> Iterator[tuple[str, str]]:
    for kind, most, left, reset_s in _left(asked):
        at = live_config.utc_now() + timedelta(seconds=reset_s)
        yield f"anthropic-ratelimit-{kind}-limit", str(most)
        yield f"anthropic-ratelimit-{kind}-remaining", str(left)
        yield (
            f"anthropic-ratelimit-{kind}-reset",
            f"{datetime.fromtimestamp(math.ceil(at.timestamp()), UTC):%Y-%m-%dT%H:%M:%SZ}",
        )


def _own(asked: Allowance) -> Iterator[tuple[str, str]]:
    """RateLimit of requests, as gateways have it; of tokens beside."""
    for kind, most, left, reset_s in _left(asked):
        end = "" if kind == "requests" else "-Tokens"
        yield f"RateLimit-Limit{end}", str(most)
        yield f"RateLimit-Remaining{end}", str(left)
        yield f"RateLimit-Reset{end}", str(math.ceil(reset_s))

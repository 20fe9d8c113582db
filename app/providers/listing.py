"""The models a provider lists for a key: a request that costs nothing, and tells much of what can be wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import TypeAdapter

from app.errors import ProviderError
from app.providers import own
from app.providers.base import Endpoint
from app.providers.exchange import without_key
from app.providers.http import framing
from app.providers.http.clock import Call
from app.providers.http.connections import Pool
from app.providers.wire import delays, problem
from app.providers.wire.formats import FORMATS
from app.providers.wire.lenient import Maybe, Reply, reply

#: what a dated name adds to its alias: claude-haiku-4-5-20251001, gpt-4.1-mini-2025-04-14, gemini-2.0-flash-001
_DATED = re.compile(r"-(\d{8}|\d{4}-\d\d-\d\d|\d{3}|latest)|:latest")


@dataclass(frozen=True, slots=True)
class Listing:
    models: tuple[str, ...]
    #: how far our clock is ahead of the provider's, which its Date header gives to a second; None: it sends none
    clock_ahead_s: float | None

    def knows(self, model: str) -> bool:
        """As it stands, or as the alias of a dated name."""
        name = model.removeprefix("models/")
        return any(
            listed == name or (listed.startswith(name) and _DATED.fullmatch(listed, len(name)))
            for listed in self.models
        )


class _Model(Reply):
    id: Maybe[str] = None  # OpenAI, Anthropic
    name: Maybe[str] = None  # Gemini: models/…


class _Models(Reply):
    data: Maybe[list[_Model]] = None
    models: Maybe[list[_Model]] = None


_MODELS = TypeAdapter(_Models)


def list_models(pool: Pool, endpoint: Endpoint, *, timeout_ms: int) -> Listing:
    """Raises a ProviderError; one with a `status_code` says that the provider was reached."""
    wire = FORMATS[endpoint.provider.format]
    call = Call(timeout_ms)
    try:
        response = framing.send(
            pool,
            call,
            "GET",
            own.url(endpoint, wire.models_url(endpoint)),
            own.headers(endpoint, wire.auth(endpoint)),
            None,
            endpoint.way,
        )
        body = b"".join(response.pieces())
        answered = datetime.now(UTC)
        if not 200 <= response.status < 300:
            found = problem.read(body)
            raise problem.raised(
                wire.error_class(response.status, found), response.status, found, response.headers, answered
            )
        told = reply(_MODELS, body)
    except ProviderError as error:
        error.timing = call.timing()
        error.args = tuple(without_key(str(part), endpoint.key) for part in error.args)
        raise
    names = (model.id or model.name or "" for model in told.data or told.models or ())
    return Listing(tuple(name.removeprefix("models/") for name in names if name), _ahead_s(response.headers, answered))


def _ahead_s(headers: Mapping[str, str], now: datetime) -> float | None:
    theirs = delays.moment_of(headers.get("date", ""))
    return None if theirs is None else (now - theirs).total_seconds()

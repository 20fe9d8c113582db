"""What a provider says of itself, without spending a token: its models, and the time of day."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import urllib3
from pydantic_core import from_json

from app.errors import ProviderError, UnusableAnswer
from app.providers import http, problem
from app.providers.base import Endpoint
from app.providers.clock import Call
from app.providers.exchange import blank
from app.providers.formats import FORMATS

#: a listed name may end in what a call may leave out: Anthropic's date, Ollama's tag
_ENDINGS = re.compile(r"(-\d{8}|:latest)$")


@dataclass(frozen=True, slots=True)
class Models:
    #: as a call names them
    names: tuple[str, ...]
    #: the provider's clock, to the second; None: it does not tell
    its_time: datetime | None

    def holds(self, model: str) -> bool:
        wanted = model.removeprefix("models/")
        return any(wanted in (name, _ENDINGS.sub("", name)) for name in self.names)


def models(pool: urllib3.PoolManager, endpoint: Endpoint, *, timeout_ms: int) -> Models:
    """Ask the provider for its models. Raises a ProviderError whose `timing` says how long it took."""
    call = Call(timeout_ms)
    wire = FORMATS[endpoint.provider.format]
    place = wire.listing(endpoint)
    try:
        response = http.send(pool, call, "GET", place.url, {"accept": "application/json", **place.headers}, None)
        body = b"".join(http.pieces(response, call))
        if not 200 <= response.status < 300:
            found = problem.read(body)
            kind = wire.error_class(response.status, found)
            raise problem.raised(kind, response.status, found, response.headers, datetime.now(UTC))
        return Models(_names(body, place.entries, place.name), _date(response.headers))
    except ProviderError as error:
        error.timing = call.timing()
        blank(error, endpoint.key)
        raise


def _names(body: bytes, entries: str, name: str) -> tuple[str, ...]:
    try:
        document: Any = from_json(body)
        listed = [entry[name] for entry in document[entries]]
    except (ValueError, KeyError, TypeError):
        raise UnusableAnswer("the list of models is not the JSON it should be") from None
    return tuple(each.removeprefix("models/") for each in listed if isinstance(each, str))


def _date(headers: Mapping[str, str]) -> datetime | None:
    with suppress(ValueError):
        return parsedate_to_datetime(headers.get("date", "")).replace(tzinfo=UTC)
    return None

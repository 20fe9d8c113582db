"""The gateway, what it keeps, and the watch over its dependencies, behind the request that is being served."""

from __future__ import annotations

from typing import cast

from flask import Flask, current_app, request

from app.api.auth import caller
from app.api.front import CLIENT
from app.api.headers import header
from app.api.names import name
from app.evidence.responses import Responses
from app.gateway.calls import Client
from app.gateway.gateway import Gateway
from app.operations.health import Watch

_GATEWAY, _WATCH, _RESPONSES = "tooloo.gateway", "tooloo.watch", "tooloo.responses"


def attach(app: Flask, gateway: Gateway, watch: Watch, responses: Responses) -> None:
    app.extensions.update({_GATEWAY: gateway, _WATCH: watch, _RESPONSES: responses})


def gateway() -> Gateway:
    return cast(Gateway, current_app.extensions[_GATEWAY])


SEGMENT_HEADER = "X-Tooloo-Segment"


def asked_by(segment: str | None) -> tuple[str | None, str | None]:
    """Segment and name of the key of who asks. The key's segment goes before the body's, that before the header's.

    A key of the environment has no name. Raises InvalidRequest for a header that is no name of a segment.
    """
    who = caller()
    named = None if who.id is None else who.name
    return who.segment or segment or _segment_of_header(), named


def _segment_of_header() -> str | None:
    given = header(SEGMENT_HEADER)
    return name(given, SEGMENT_HEADER) if given else None


def client() -> Client | None:
    """Who waits for the answer, where the server knows."""
    return cast("Client | None", request.environ.get(CLIENT))


def watch() -> Watch:
    return cast(Watch, current_app.extensions[_WATCH])


def responses() -> Responses:
    return cast(Responses, current_app.extensions[_RESPONSES])

"""The gateway, and the watch over its dependencies, behind the request that is being served."""

from __future__ import annotations

from typing import cast

from flask import Flask, current_app, request

from app.api.auth import caller
from app.errors import InvalidRequest
from app.gateway.gateway import Gateway
from app.operations.health import Watch

_GATEWAY, _WATCH = "tooloo.gateway", "tooloo.watch"


def attach(app: Flask, gateway: Gateway, watch: Watch) -> None:
    app.extensions.update({_GATEWAY: gateway, _WATCH: watch})


def gateway() -> Gateway:
    return cast(Gateway, current_app.extensions[_GATEWAY])


#: characters of the longest name of a segment, in a body as in a header: it stands in keys and indexes
SEGMENT_LIMIT = 100
SEGMENT_HEADER = "X-Tooloo-Segment"


def asked_by(segment: str | None) -> tuple[str | None, str | None]:
    """Segment and name of the key of who asks. The key's segment goes before the body's, that before the header's.

    A key of the environment has no name. Raises InvalidRequest for a header that is no name of a segment.
    """
    who = caller()
    named = None if who.id is None else who.name
    return who.segment or segment or _segment_of_header(), named


def _segment_of_header() -> str | None:
    given = request.headers.get(SEGMENT_HEADER)
    if not given:
        return None
    if len(given) > SEGMENT_LIMIT or not given.isprintable():
        raise InvalidRequest(
            f"{SEGMENT_HEADER}: a segment has 1 to {SEGMENT_LIMIT} printable characters: got {len(given)}",
            field=SEGMENT_HEADER,
        )
    return given


def watch() -> Watch:
    return cast(Watch, current_app.extensions[_WATCH])

"""What a strict server of some kind would say to a body, without one: the lab's reading, its rules, the SDK's types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from app.lab.faults import Refused
from app.lab.refusals import table
from app.lab.refusals.rule import Kind
from app.lab.wire.formats import wire_of
from tests.support import request_types


def objections(kind: Kind, url: str, headers: Mapping[str, str], body: bytes) -> list[str]:
    """Each as `rule: message`; [] if the body would be taken. `url`: as it would be asked for at the real server."""
    wire = wire_of(kind)
    path = urlsplit(url).path
    try:
        place = wire.place("POST", path.lstrip("/"), dict(part.split("=") for part in _query(url)))
        call = wire.read(place, headers, body)
    except Refused as refused:
        return [_told(refused)]
    document = json.loads(body)
    offences = table.offences(kind, call.model, document, {})
    return [
        *map(_told, offences),
        *(f"sdk: {each}" for each in request_types.faults(path, document, kind is Kind.OPENAI)),
    ]


def _query(url: str) -> list[str]:
    return [part for part in urlsplit(url).query.split("&") if "=" in part]


def _told(refused: Refused) -> str:
    return (
        f"{refused.rule.id if refused.rule else refused.why}: {refused.detail.replace('{field}', refused.field or '')}"
    )

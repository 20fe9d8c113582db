"""GET /api/v1/system/attention: what needs a person."""

from __future__ import annotations

from flask import Blueprint, Response

from app.api.auth import guard
from app.api.current import gateway, watch
from app.api.envelope import ok
from app.live import live_config
from app.operations import attention as attention_
from app.operations.attention import Item, Known

attention = Blueprint("attention", __name__, url_prefix="/api/v1/system")


@attention.get("/attention")
def what_needs_a_person() -> Response:
    """What needs a person now, each with its cure; the critical ones first."""
    return ok([item.to_json() for item in present()])


def present() -> list[Item]:
    """As this process sees it; it asks nobody."""
    looks, breakers = watch(), gateway().breakers.value
    known = Known(looks.troubles(), looks.vitals, breakers, guard().allowances.over())
    return attention_.items(gateway().services, known, live_config.utc_now())

"""/what-if: sliders for weights and objective, replayed; a script asks POST /api/v1/system/what-if."""

from __future__ import annotations

from flask import Response

from app.api.auth import caller
from app.api.current import gateway
from app.api.pages.asked import asked
from app.api.pages.blueprint import page, pages
from app.domain.keys import Scope


@pages.get("/what-if")
def whatif() -> Response:
    """The page as the configuration stands."""
    services, seen = gateway().services, asked()
    config = services.config.value
    return page(
        "whatif",
        "What if",
        weights=config.global_.provider_weights.model_dump(),
        objective=services.objective,
        version=config.version,
        span={"from": seen.from_ms, "to": seen.to_ms},
        may_apply=caller().may(Scope.ADMIN),
    )

"""The pages: one file each, which calls what the API's own views call, and a template in app/web/templates.

A page is a view of `blueprint.pages` that ends in `blueprint.page(…)`; `blueprint.live` gives it rows that follow what
happens. There is no HTTP to ourselves, and no figure that the API does not have.
"""

from __future__ import annotations

from app.api.pages import (
    better,
    config,
    health,
    keys,
    overview,
    overview_charts,
    request_detail,
    requests,
    rounds,
    sign_in,
    spend,
    stream,
    timeline,
    whatif,
)
from app.api.pages.blueprint import pages

__all__ = [
    "better",
    "config",
    "health",
    "keys",
    "overview",
    "overview_charts",
    "pages",
    "request_detail",
    "requests",
    "rounds",
    "sign_in",
    "spend",
    "stream",
    "timeline",
    "whatif",
]

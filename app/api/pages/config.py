"""/config: what steers, a change of it previewed, and every revision with its way back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response, get_template_attribute, request

from app.api.current import gateway
from app.api.pages.asked import Asked
from app.api.pages.blueprint import live, page, pages
from app.api.system import runtime_config
from app.errors import InvalidRequest

#: revisions on a page of history
PAGE = 20
#: digits of a version, with room
_DIGITS = 15


@pages.get("/config")
def config() -> Response:
    """The runtime config, its switches, and its history; `before`: the version at which the page of history begins."""
    before = _before()
    document = gateway().services.config.value.document()
    revisions = runtime_config.past(PAGE, before)
    earlier = revisions[-1]["version"] if len(revisions) == PAGE else None
    return page("config", "Config", document=document, revisions=revisions, earlier=earlier, before=before)


@live("config")
def rows(_: Asked) -> Iterator[tuple[str, str]]:
    document: dict[str, Any] = gateway().services.config.value.document()
    yield "version", str(get_template_attribute("config_rows.html", "version")(document)).strip()
    if request.args.get("before") is None:
        drawn = get_template_attribute("config_rows.html", "history")
        yield "history", str(drawn(runtime_config.past(PAGE), document["version"])).strip()


def _before() -> int | None:
    text = request.args.get("before")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        raise InvalidRequest(f"before must be a version: got {text[:50]!r}", field="before")
    return int(text)

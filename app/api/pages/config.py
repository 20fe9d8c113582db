"""/config: what steers, a change of it previewed, and every revision with its way back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response, get_template_attribute, request

from app.api.current import gateway
from app.api.pages.asked import Asked
from app.api.pages.blueprint import live, page, pages
from app.api.system import runtime_config
from app.domain.config import config_history
from app.errors import InvalidRequest
from app.store import database, revisions

#: revisions on a page of history
PAGE = 20
#: digits of a version, with room
_DIGITS = 15


@pages.get("/config")
def config() -> Response:
    """The runtime config, its switches, and its history; `before`: the version at which the page of history begins."""
    before = _version("before")
    document = gateway().services.config.value.document()
    past = runtime_config.past(PAGE, before)
    earlier = past[-1]["version"] if len(past) == PAGE else None
    return page(
        "config",
        "Config",
        document=document,
        revisions=past,
        earlier=earlier,
        before=before,
        compared=_compared(int(document["version"])),
    )


@live("config")
def rows(_: Asked) -> Iterator[tuple[str, str]]:
    document: dict[str, Any] = gateway().services.config.value.document()
    yield "version", str(get_template_attribute("config_rows.html", "version")(document)).strip()
    if request.args.get("before") is None:
        drawn = get_template_attribute("config_rows.html", "history")
        yield "history", str(drawn(runtime_config.past(PAGE), document["version"])).strip()


def _compared(present: int) -> dict[str, Any] | None:
    """What differs between the versions `old` and `new`, of which one may be left out: it is the present one."""
    old, new = _version("old"), _version("new")
    if old is None and new is None:
        return None
    old, new = old or present, new or present
    with database.transaction(gateway().services.sessions) as session:
        before, after = revisions.get(session, old), revisions.get(session, new)
        return {"old": old, "new": new, "changes": config_history.diff(before.document, after.document)}


def _version(name: str) -> int | None:
    """A field that was left empty says nothing."""
    text = request.args.get(name)
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        raise InvalidRequest(f"{name} must be a version: got {text[:50]!r}", field=name)
    return int(text)

"""What every page stands in: the frame, who looks at it, what part of the data, and how a failure is told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, current_app, get_template_attribute, render_template, request
from flask.sansio.blueprints import BlueprintSetupState
from markupsafe import Markup

from app.api import auth
from app.api.auth import caller
from app.api.current import gateway
from app.api.pages import figures
from app.api.pages.asked import Asked, asked
from app.api.web import FOLDER, POLICY
from app.domain.keys import Scope
from app.errors import TooLooError, Unauthorized
from app.live import live_config

#: the rail: endpoint, and what it is called. What no file of this package serves is not shown
RAIL = (
    ("overview", "Overview"),
    ("requests", "Requests"),
    ("better", "Better?"),
    ("timeline", "Timeline"),
    ("rounds", "Rounds"),
    ("whatif", "What if"),
    ("config", "Config"),
    ("spend", "Spend"),
    ("keys", "Keys"),
    ("health", "Health"),
)
#: hues of style.css; targets beyond them get the same again, with another dash
HUES = 8

pages = Blueprint("pages", __name__, template_folder=str(FOLDER / "templates"))
pages.add_app_template_filter(figures.when, "when")
for _name in ("ms", "usd", "share", "count", "score", "ago", "plain", "setting", "value", "whole"):
    pages.add_app_template_filter(getattr(figures, _name), _name)

#: rows of a page by their element's id, as HTML: what the page's event stream sends when it has changed
Rows = Callable[[Asked], Iterator[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Live:
    """What of a page changes while it is looked at."""

    #: the rows as one stream looks at them: what it has to remember between two looks is its own
    begin: Callable[[], Rows]
    #: s that rows stand which cost much to read: all streams that ask the same share them. None: rows that cost little
    every_s: float | None = None


LIVE: dict[str, Live] = {}


def live(page: str, every_s: float | None = None) -> Callable[[Rows], Rows]:
    """Of `page`, these rows change while it is looked at."""

    def register(rows: Rows) -> Rows:
        LIVE[page] = Live(lambda: rows, every_s)
        return rows

    return register


@dataclass(frozen=True, slots=True)
class Frame:
    """What base.html knows besides a page's own values."""

    page: str
    #: path prefix of everything here
    base: str
    rail: list[tuple[str, str, str]]
    who: str
    signed_in: bool
    may_act: bool
    csrf: str
    simulated: bool
    now_ms: int
    #: the page has an event stream
    live: bool
    #: what of the page's kind it shows; its event stream is asked with it
    subject: str
    #: of the rows that it was made with: the stream sends none of them again before it has changed
    marks: str


def page(name: str, title: str, /, status: int = 200, rows: Mapping[str, str] | None = None, **values: Any) -> Response:
    """`name`.html in its frame. `rows`: what its event stream has, where the page is made with just that."""
    return _rendered(name, title, asked(), status, rows or {}, **values)


def _rendered(
    name: str, title: str, seen: Asked | None, status: int, rows: Mapping[str, str], **values: Any
) -> Response:
    made = {part: Markup(text) for part, text in rows.items()}  # noqa: S704  # by our own templates, which escape
    frame = _frame(name, " ".join(f"{part}:{mark(text)}" for part, text in rows.items()))
    return html(render_template(f"{name}.html", title=title, frame=frame, asked=seen, rows=made, **values), status)


def mark(html: str) -> str:
    """Tells two editions of a row apart."""
    return hashlib.blake2b(html.encode(), digest_size=6).hexdigest()


def drawn(template: str, macro: str, *values: object) -> str:
    """A row, by the macro that the page itself is made with."""
    return str(get_template_attribute(template, macro)(*values)).strip()


def block(template: str, name: str, **values: object) -> str:
    """A row that stands as a block in its page's own template."""
    found = current_app.jinja_env.get_template(template)
    return "".join(found.blocks[name](found.new_context(values))).strip()


def html(text: str, status: int = 200) -> Response:
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
    return Response(text, status, headers, "text/html")


def see(path: str) -> Response:
    """Go to `path` of ours instead."""
    return Response(status=303, headers={"Location": link(path), "Cache-Control": "no-store"})


def link(path: str) -> str:
    """`path` as the browser has to ask for it."""
    return f"{request.script_root}{path}"


def colours() -> Mapping[str, int]:
    """Number of each target's colour, the same on every page: by its place in the configuration."""
    return {str(target): number for number, target in enumerate(gateway().services.targets)}


def _frame(name: str, marks: str) -> Frame:
    session, guard = auth.session(), auth.guard()
    needed = guard.needs_keys
    return Frame(
        page=name,
        base=request.script_root,
        rail=_rail(),
        who=caller().name,
        signed_in=session is not None,
        may_act=caller().may(Scope.ADMIN) and (session is not None or not needed),
        csrf="" if session is None else guard.csrf(session),
        simulated=gateway().services.simulated,
        now_ms=live_config.epoch_ms(),
        live=name in LIVE and (session is not None or not needed),
        subject=(request.view_args or {}).get("subject", ""),
        marks=marks,
    )


def _rail() -> list[tuple[str, str, str]]:
    found = []
    for name, title in RAIL:
        rules = list(current_app.url_map.iter_rules(f"pages.{name}")) if _is_served(name) else []
        if rules and (name != "keys" or caller().may(Scope.ADMIN)):
            found.append((name, title, rules[0].rule))
    return found


def _is_served(name: str) -> bool:
    return f"pages.{name}" in current_app.view_functions


@pages.record_once
def _globals(state: BlueprintSetupState) -> None:
    """For macros as well, which see no context."""
    state.app.jinja_env.globals.update(link=link, colours=colours, hues=HUES)


@pages.errorhandler(TooLooError)
def _told(error: TooLooError) -> Response:
    """A page for people: what is wrong, and the next step."""
    if isinstance(error, Unauthorized) and request.method == "GET":
        return see(f"/sign-in?next={_here()}")
    response = _rendered("error", "Not shown", None, error.status, {}, error=error)
    if error.status == 503:
        response.headers["Retry-After"] = "5"
    return response


def _here() -> str:
    query = request.query_string.decode("ascii", "replace")
    return quote(f"{request.path}?{query}" if query else request.path, safe="/")

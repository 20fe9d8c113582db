"""The files of the page, which hold no data; what a page may load and do."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

from flask import Blueprint, Response, send_from_directory

FOLDER = Path(__file__).parents[1] / "web"
#: nothing but our own files runs in the page, forms come back here, and nobody frames it
POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
#: the charts' library: found without importing the package that carries it, whose Python we have no use for
UPLOT = Path(str(distribution("youplot").locate_file("youplot/vendor")))
#: its files, as they are called here
LIBRARY = {"uplot.js": "uplot.iife.min.js", "uplot.css": "uplot.min.css"}

web = Blueprint("web", __name__)


@web.get("/web/<name>")
def part(name: str) -> Response:
    """A part of a page."""
    if name in LIBRARY:
        return _cached(send_from_directory(UPLOT, LIBRARY[name]))
    return _cached(send_from_directory(FOLDER / "static", name))


@web.get("/favicon.ico")
def icon() -> Response:
    """Where a browser looks that was told of no other."""
    return part("icon.svg")


def _cached(response: Response) -> Response:
    """To be asked for again each time, which costs a 304: after an upgrade page and script are of one release."""
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "no-cache"
    return response

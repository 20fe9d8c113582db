"""The files of the page, which hold no data; what a page may load and do."""

from __future__ import annotations

import mimetypes
from importlib.metadata import distribution
from pathlib import Path

from flask import Blueprint, Response, abort, request

FOLDER = Path(__file__).parents[1] / "web"
#: nothing but our own files runs in the page, forms come back here, and nobody frames it
POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
#: of an answer that is data: opened in a browser, nothing of it is shown as a page or run
NO_PAGE = "default-src 'none'; frame-ancestors 'none'"
#: the charts' library: found without importing the package that carries it, whose Python we have no use for
UPLOT = Path(str(distribution("youplot").locate_file("youplot/vendor")))
#: by name in the URL; the library's as they are called here
FILES = {
    **{path.name: path for path in (FOLDER / "static").iterdir()},
    "uplot.js": UPLOT / "uplot.iife.min.js",
    "uplot.css": UPLOT / "uplot.min.css",
}

web = Blueprint("web", __name__)


@web.get("/web/<name>")
def part(name: str) -> Response:
    """A part of a page."""
    path = FILES.get(name)
    if path is None:
        abort(404)
    # whole, and not as an open file: a reader who leaves in the middle leaves none behind
    response = Response(path.read_bytes(), mimetype=mimetypes.guess_type(name)[0])
    response.headers["Content-Security-Policy"] = POLICY
    # to be asked for again each time, which costs a 304: after an upgrade page and script are of one release
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


@web.get("/favicon.ico")
def icon() -> Response:
    """Where a browser looks that was told of no other."""
    return part("icon.svg")

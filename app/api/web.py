"""The dashboard and the reference: static files that show what the API says."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, send_from_directory

FOLDER = Path(__file__).parents[1] / "web"
FILES = {"style.css", "dashboard.js", "docs.js"}
#: nothing but our own files runs in the page, and nobody frames it
POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

web = Blueprint("web", __name__)


@web.get("/")
def index() -> Response:
    """The dashboard."""
    return static_file("index.html")


@web.get("/web/<name>")
def part(name: str) -> Response:
    """A part of a page."""
    return static_file(name) if name in FILES else Response(status=404)


def static_file(name: str) -> Response:
    response = send_from_directory(FOLDER, name)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "no-cache"
    return response

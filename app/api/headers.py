"""Headers of the present request, straight from where the server put them: a tenth of the way through Werkzeug's."""

from __future__ import annotations

from functools import lru_cache

from flask.globals import _cv_request


def header(name: str) -> str | None:
    """None: it was not sent. Not for Content-Type and Content-Length, which stand elsewhere."""
    value: str | None = _cv_request.get().request.environ.get(_key(name))
    return value


@lru_cache(maxsize=100)
def _key(name: str) -> str:
    return f"HTTP_{name.upper().replace('-', '_')}"

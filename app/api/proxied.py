"""Behind a reverse proxy: how the browser sees this, where it is not as we do.

Headers of a proxy count only where the settings say that there is one: else anybody could write them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix

from app.api.edge import Environ, Wsgi
from app.settings import Settings


def behind(serve: Wsgi, settings: Settings) -> Wsgi:
    """`serve` as it is where nothing is configured."""
    if settings.path_prefix:
        serve = _under(serve, settings.path_prefix)
    if count := settings.trusted_proxies:
        serve = ProxyFix(serve, x_for=0, x_proto=count, x_host=0, x_prefix=count)
    return serve


def _under(serve: Wsgi, prefix: str) -> Wsgi:
    """A proxy may take the prefix off the path or leave it there: programs beside the proxy come without it."""

    def inner(environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        environ["SCRIPT_NAME"] = prefix
        if path == prefix or path.startswith(f"{prefix}/"):
            environ["PATH_INFO"] = path.removeprefix(prefix) or "/"
        return serve(environ, start)

    return inner

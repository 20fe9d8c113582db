"""Who may do what.

Keys set (TOOLOO_ADMIN_KEY, TOOLOO_API_KEY): writes need the admin key, chat and reads either one; where only one is
set, it is needed for everything. No keys: loopback
only (app.bootstrap refuses anything else), where a write still needs a JSON content type and a loopback Host, so that
a web page the user has open cannot drive it.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from flask import Flask, current_app, request

from app.errors import Forbidden, Unauthorized
from app.settings import Settings

#: probes of an orchestrator, the dashboard's files and the reference, which hold no data
OPEN = {"/healthz", "/readyz", "/", "/web/style.css", "/web/dashboard.js", "/web/docs.js", "/docs", "/openapi.json"}
#: writes that an API key is enough for
SPENDING = {"/api/v1/chat", "/v1/chat/completions"}
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def protect(app: Flask, settings: Settings) -> None:
    app.config["SETTINGS"] = settings
    app.before_request(_check)


def _check() -> None:
    settings: Settings = current_app.config["SETTINGS"]
    if request.path in OPEN:
        return
    if settings.loopback:
        _refuse_web_pages()
    spends = request.path in SPENDING
    write = request.method not in {"GET", "HEAD", "OPTIONS"} and not spends
    # with one key alone, that one opens everything: a write must never be easier than a question
    allowed = [settings.admin_key] if write and settings.admin_key else [settings.admin_key, settings.api_key]
    if any(allowed) and not any(_same(_presented(), key) for key in allowed if key):
        name = "an admin key" if write else "an API key"
        raise Unauthorized(f"this needs {name}: send it as `Authorization: Bearer KEY`", field="Authorization")


def _refuse_web_pages() -> None:
    """DNS rebinding reaches loopback under another Host; a cross-site form cannot send JSON."""
    host = urlsplit(f"//{request.host}").hostname
    if host not in LOOPBACK:
        raise Forbidden(f"this listens on loopback only: call it as 127.0.0.1, not {host}", field="Host")
    if request.method in {"POST", "PUT", "PATCH", "DELETE"} and request.mimetype != "application/json":
        raise Forbidden("send `Content-Type: application/json`", field="Content-Type")


def _presented() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "")


def _same(presented: str, key: str) -> bool:
    return hmac.compare_digest(presented.encode(), key.encode())

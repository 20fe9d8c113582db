"""Sign-in and sign-out: a key is traded for a session's cookie, and is then nowhere in the browser."""

from __future__ import annotations

import hmac
import secrets
import time
from urllib.parse import urlsplit

from flask import Response, render_template, request

from app.api import auth
from app.api.auth import COOKIE
from app.api.pages.blueprint import html, page, pages, see
from app.domain.keys import Scope
from app.errors import Forbidden, Unauthorized

#: of the sign-in form: what a form on another site does not have
FORM_COOKIE = "tooloo_form"
#: longest key that is looked at
LONGEST = 1000


@pages.get("/sign-in")
def sign_in() -> Response:
    """The form; who is signed in already goes on."""
    if auth.signed_in(auth.guard()) is not None:
        return see(_next())
    if "next" in request.args and "again" not in request.args:
        # a link in a mail brings no SameSite=Strict cookie, although there may be one: it does when we ask ourselves
        return html(render_template("sign_in_again.html", next=_next()))
    return _form("")


@pages.post("/sign-in")
def signed_in() -> Response:
    """`key` for a session: a cookie that no script can read."""
    token = request.form.get("form", "")
    if not token or not hmac.compare_digest(token.encode(), request.cookies.get(FORM_COOKIE, "").encode()):
        return _form("That form is no longer good, or cookies are off: try again.", 403)
    presented = request.form.get("key", "").strip()[:LONGEST]
    try:
        found = auth.guard().sign_in(presented, time.time()) if presented else None
    except Unauthorized as error:
        return _form(f"{error}.", 401)
    if found is None:
        auth.guard().wrong.shown(request.remote_addr or "")
        return _form("No such key, or it is revoked.", 401)
    who, _, cookie = found
    if not who.may(Scope.READ):
        return _form("This key may not read: sign in with one that has the scope read or admin.", 403)
    response = see(_next())
    _set(response, COOKIE, cookie)
    response.delete_cookie(FORM_COOKIE, path=_path())
    return response


@pages.post("/sign-out")
def sign_out() -> Response:
    """Ends the session everywhere, also for a copy of its cookie."""
    guard = auth.guard()
    found = guard.of_session(request.cookies.get(COOKIE, ""), time.time())
    if found is not None:
        auth.take(*found)
        if not auth.is_csrf(guard, request.form.get("csrf", "")):
            raise Forbidden("sign out with the button of a page", field="csrf")
        guard.ended.add(found[1], time.time())
    response = see("/sign-in")
    response.delete_cookie(COOKIE, path=_path())
    return response


def _form(trouble: str, status: int = 200) -> Response:
    token = secrets.token_urlsafe(24)
    response = page("sign_in", "Sign in", status=status, trouble=trouble, form=token, next=_next())
    _set(response, FORM_COOKIE, token)
    return response


def _set(response: Response, name: str, value: str) -> None:
    """Until the browser is closed, or the session's own end."""
    response.set_cookie(name, value, path=_path(), secure=request.is_secure, httponly=True, samesite="Strict")


def _path() -> str:
    return request.script_root or "/"


def _next() -> str:
    """Where to go then: a path of ours, whatever somebody wrote into the link."""
    wanted = request.values.get("next", "/")
    parts = urlsplit(wanted.replace("\\", "/"))
    inside = wanted.isprintable() and wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    return wanted if inside and not parts.netloc and not parts.scheme else "/"

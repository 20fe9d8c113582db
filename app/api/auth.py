"""Who calls, and who may do what.

A caller is known by a key: TOOLOO_ADMIN_KEY (everything), TOOLOO_API_KEY (chat and reads), or a stored one with scopes
of its own. Writes need `admin`, chat needs `chat`, reads need `read`; `admin` includes the other two.

Once there is a key in the environment, or there ever was a stored one with the scope `admin`, every request needs a
key. Until then this listens on loopback only (app.bootstrap refuses anything else) and requests of who started it go
without (app.api.owner); one that brings a stored key has what that key allows. On loopback a write needs a JSON content
type and a loopback Host all the same, so that a web page the user has open cannot drive it.

A browser trades a key for the cookie of a session (app.access.sessions), which opens what that key does. A write by
cookie needs the session's CSRF token as well, and under /v1 no cookie counts.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import urlsplit

from flask import Flask, current_app, g, request

from app import local_key
from app.access import sessions
from app.access.allowances import Allowances
from app.access.sessions import Ended, Session
from app.access.wrong_keys import WrongKeys
from app.api import allowed, origins, owner
from app.api.edge import TICKET
from app.api.headers import header
from app.domain import keys
from app.domain.key_limits import NO_LIMITS, KeyLimits
from app.domain.keys import Key, Keys, Scope, Treatment
from app.errors import DependencyUnavailable, Forbidden, Unauthorized
from app.live.published import Published
from app.settings import Settings

#: probes of an orchestrator, the reference, and what a browser needs to sign in and out; none holds data
OPEN = {"/healthz", "/readyz", "/docs", "/openapi.json", "/sign-in", "/sign-out", "/favicon.ico"}
#: … and the files of the page
OPEN_FOLDER = "/web/"
#: where a cookie counts for nothing: what programs call, and what a GET may cost money at
NO_COOKIES = "/v1/"
COOKIE = "tooloo_session"
CSRF_HEADER = "X-CSRF-Token"
JSON = "application/json"
READS = {"GET", "HEAD", "OPTIONS"}
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
#: requests that cost money, or belong to one that did
CHAT_PATHS = ("/api/v1/chat", "/api/v1/feedback", "/v1/")
#: … also where nothing is written: what a GET does there is the provider's
PASSTHROUGH = "/v1/passthrough/"
#: posted, but they change nothing
READ_PATHS = ("/api/v1/system/what-if",)
#: headers that no page can send without asking first, which we do not answer
SAID_BY_PROGRAMS = ("X-API-Key", "X-Goog-Api-Key", "X-Tooloo-Passthrough")
#: nobody but an admin sees which keys there are
ADMIN_PATHS = ("/api/v1/system/keys", "/api/v1/system/audit")

ADMIN_KEY, API_KEY = "TOOLOO_ADMIN_KEY", "TOOLOO_API_KEY"
#: of app.local_key
LOCAL_KEY = "local"
_SCOPES_OF_API_KEY = frozenset({Scope.CHAT, Scope.READ})


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is; `caller()` gives it in every view."""

    #: of a stored key; None: a key of the environment, or none at all
    id: str | None
    #: as history shows it
    name: str
    scopes: frozenset[Scope]
    #: of the stored key; goes before what the request itself says
    segment: str | None = None
    #: of fields that we have no word for, where the request does not say
    parameters: Treatment | None = None
    limits: KeyLimits = NO_LIMITS
    #: by which they are known, for the audit: the id of a stored one, a variable of the environment, '' for none
    key: str = ""

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes


#: where no key is needed, or none was given on an open path
NOBODY = Caller(None, "api", frozenset())
ANYBODY = Caller(None, "api", frozenset(Scope))


@dataclass(frozen=True, slots=True)
class Guard:
    """What a request is checked against: all of it in memory."""

    settings: Settings
    keys: Published[Keys]
    allowances: Allowances
    ended: Ended
    #: of TOOLOO_API_KEY, where that is not the only one
    api_key_limits: KeyLimits = NO_LIMITS
    wrong: WrongKeys = field(default_factory=WrongKeys)

    @property
    def needs_keys(self) -> bool:
        return bool(self.settings.admin_key or self.settings.api_key) or self.keys.value.has_admin

    def identify(self, presented: str) -> Caller | None:
        """Whose key it is; None: nobody's.

        Raises Unauthorized where its time is over, DependencyUnavailable where it cannot be known at the moment.
        """
        found = self._find(presented)
        return None if found is None else self._caller(found)

    def sign_in(self, presented: str, now_s: float) -> tuple[Caller, Session, str] | None:
        """A session for who shows a key, and its cookie; None: it is nobody's key. Raises as `identify` does."""
        found = self._find(presented)
        if found is None:
            return None
        session = sessions.begin(found if isinstance(found, str) else found.id, now_s)
        return self._caller(found), session, sessions.seal(session, self._signer(found))

    def of_session(self, cookie: str, now_s: float) -> tuple[Caller, Session] | None:
        """Whose session it is, while it and its key last; None: nobody's. Raises DependencyUnavailable."""
        session = sessions.read(cookie, now_s)
        found = None if session is None else self._named(session.key)
        if session is None or found is None or not sessions.is_sealed(cookie, self._signer(found)):
            return None
        if isinstance(found, Key) and found.is_over(now_s * 1000):
            return None
        return None if self.ended.has(session, now_s) else (self._caller(found), session)

    def csrf(self, session: Session) -> str:
        found = self._named(session.key)
        assert found is not None
        return sessions.csrf(session, self._signer(found))

    def _find(self, presented: str) -> Key | str | None:
        """The stored key, or the name of the variable that holds it."""
        shown = keys.digest(presented)
        # every one is compared, so that the time it takes says nothing
        held = self._environment(presented.startswith(local_key.PREFIX))
        environment = [name for name, key in held.items() if key and _same(shown, key)]
        stored = self.keys.value.find(presented)
        if stored is None and not environment and keys.looks_like_one(presented):
            self._know_keys()
        if environment:
            return environment[0]
        if stored is not None and stored.is_over(time.time() * 1000):
            raise _over(stored)
        return stored

    def _named(self, name: str) -> Key | str | None:
        if name in self._environment():
            return name if self._environment()[name] else None
        self._know_keys()
        return self.keys.value.by_id.get(name)

    def _know_keys(self) -> None:
        if self.keys.version < 0:
            raise DependencyUnavailable("keys cannot be checked: neither Redis nor PostgreSQL is reachable")

    def _environment(self, local: bool = True) -> dict[str, str | None]:
        """`local`: with the one in a file, which is read."""
        held = {ADMIN_KEY: self.settings.admin_key, API_KEY: self.settings.api_key}
        return {**held, LOCAL_KEY: self._local_key()} if local else held

    def _local_key(self) -> str | None:
        """Where it has a meaning: on loopback, while no other is needed."""
        return local_key.read(self.settings.data_dir) if self.settings.loopback and not self.needs_keys else None

    def _caller(self, found: Key | str) -> Caller:
        if isinstance(found, Key):
            return Caller(found.id, found.name, found.scopes, found.segment, found.parameters, found.limits, found.id)
        if found == LOCAL_KEY:
            return ANYBODY
        if found == ADMIN_KEY or not self.settings.admin_key:
            # with one key alone, that one opens everything: a write must never be easier than a question
            return Caller(None, "admin", frozenset(Scope), key=found)
        return Caller(None, "api", _SCOPES_OF_API_KEY, limits=self.api_key_limits, key=found)

    def _signer(self, found: Key | str) -> bytes:
        own = found.hash if isinstance(found, Key) else _digest_of(self._environment()[found] or "")
        return sessions.signer(self.settings.admin_key, self.settings.api_key, own)


def _over(key: Key) -> Unauthorized:
    at = datetime.fromtimestamp((key.expires_at or 0) / 1000, UTC)
    return Unauthorized(
        f"the key {key.name!r} ({key.id}) expired at {at:%Y-%m-%d %H:%M:%S} UTC: make another (tooloo keys create)",
        field="Authorization",
    )


def protect(app: Flask, guard: Guard) -> None:
    app.extensions["tooloo.guard"] = guard
    app.before_request(_check)


def caller() -> Caller:
    """Whose request is being served. For chat: `caller().segment or` the segment that the request names."""
    found: Caller = g.get("caller", NOBODY)
    return found


def _check() -> None:
    guard: Guard = current_app.extensions["tooloo.guard"]
    path = request.path
    if path in OPEN or path.startswith(OPEN_FOLDER):
        return
    if guard.settings.loopback:
        _refuse_web_pages()
    scopes = _needed(request.method, path)
    who = g.caller = _authenticated(guard, scopes[0])
    if who is ANYBODY or guard.settings.allowed_hosts:
        _refuse_other_hosts(guard.settings, who)
    if not any(map(who.may, scopes)):
        has = ", ".join(sorted(who.scopes)) or "none"
        raise Forbidden(f"this needs a key with the scope `{scopes[0]}`; yours has: {has}", field="Authorization")
    if (ticket := request.environ.get(TICKET)) is not None:
        ticket.enter(who.id or who.name)
    if who.limits.counted:
        allowed.admit(guard.allowances, who.id or API_KEY, who.name, who.limits)


def _authenticated(guard: Guard, scope: Scope) -> Caller:
    presented = _presented()
    found = guard.identify(presented) if presented else signed_in(guard)
    if found is not None:
        return found
    if guard.needs_keys or keys.looks_like_one(presented):
        if presented:
            guard.wrong.shown(request.remote_addr or "")
        name = "an admin key" if scope is Scope.ADMIN else "an API key"
        raise Unauthorized(
            f"this needs {name}: send it as `Authorization: Bearer KEY` or `x-api-key: KEY`", field="Authorization"
        )
    owner.check(guard.settings)
    return ANYBODY


def signed_in(guard: Guard) -> Caller | None:
    """Whose session the request's cookie is; raises Forbidden for a write without its CSRF token."""
    if request.path.startswith(NO_COOKIES) or (cookie := request.cookies.get(COOKIE)) is None:
        return None
    found = guard.of_session(cookie, time.time())
    if found is None:
        return None
    who = take(*found)
    if request.method not in READS and not is_csrf(guard, request.headers.get(CSRF_HEADER, "")):
        raise Forbidden(f"a write by a page needs its token as `{CSRF_HEADER}`: load the page again", field=CSRF_HEADER)
    return who


def lease() -> Callable[[], bool]:
    """Whether who asks now may go on: what a stream of events looks at every second, in whatever thread it is made."""
    held, presented, cookie = guard(), _presented(), request.cookies.get(COOKIE, "")
    by_cookie = session() is not None

    def lasts() -> bool:
        try:
            if by_cookie:
                return held.of_session(cookie, time.time()) is not None
            if presented and held.identify(presented) is not None:
                return True
        except Unauthorized:
            return False
        except DependencyUnavailable:
            return True  # nothing says that it is over
        return not (held.needs_keys or keys.looks_like_one(presented))

    return lasts


def visit() -> None:
    """Who looks at an open page, so that it shows them what they may see."""
    if signed_in(guard()) is None and not guard().needs_keys:
        g.caller = ANYBODY


def take(who: Caller, held: Session) -> Caller:
    """The request is made by them, by the cookie of that session."""
    g.caller, g.session = who, held
    return who


def is_csrf(guard: Guard, token: str) -> bool:
    """Is it the token of the session by whose cookie the request is made?"""
    return hmac.compare_digest(token.encode(errors="replace"), guard.csrf(g.session).encode())


def session() -> Session | None:
    """The session by whose cookie the request is made."""
    found: Session | None = g.get("session")
    return found


def guard() -> Guard:
    found: Guard = current_app.extensions["tooloo.guard"]
    return found


def _needed(method: str, path: str) -> tuple[Scope, ...]:
    """Any of these will do; the first is the one to ask for."""
    read = method in READS
    if path.startswith(ADMIN_PATHS):
        return (Scope.ADMIN,)
    if path.startswith(PASSTHROUGH):
        return (Scope.CHAT,)
    if path.startswith(CHAT_PATHS):
        return (Scope.CHAT, Scope.READ) if read else (Scope.CHAT,)
    return (Scope.READ,) if read or path in READ_PATHS else (Scope.ADMIN,)


def _refuse_web_pages() -> None:
    """A cross-site form cannot send JSON."""
    if request.endpoint == "openai.passthrough":
        _refuse_what_a_page_can_send()
        return
    if (origin := header("Origin")) is not None and request.method not in READS:
        origins.refuse_foreign(origin, LOOPBACK)
    # where nothing is served a 404 tells more, and there is nothing to drive
    served = request.endpoint not in (None, "openai.nothing", "anthropic.nothing")
    if request.environ.get("CONTENT_TYPE") == JSON:  # nearly always
        return
    if served and request.method in {"POST", "PUT", "PATCH", "DELETE"} and request.mimetype != JSON:
        raise Forbidden("send `Content-Type: application/json`", field="Content-Type")


def _refuse_other_hosts(settings: Settings, who: Caller) -> None:
    """DNS rebinding reaches loopback under another Host, but has no key: who shows one may come through any proxy."""
    host = _hostname(header("Host") or request.host)
    if host in LOOPBACK or host in settings.allowed_hosts:
        return
    if who is ANYBODY:
        raise Forbidden(
            f"without a key this is called as 127.0.0.1, not {host}: set TOOLOO_ALLOWED_HOSTS, or keys", field="Host"
        )
    if host != settings.host:
        raise Forbidden(f"{host} is not among TOOLOO_ALLOWED_HOSTS", field="Host")


def _refuse_what_a_page_can_send() -> None:
    """Bodies of any type go through, and a GET may be opened in a browser: a header has to show that it is no page.

    A form or an image cannot send one of these, and a script has to ask first. Basic is not among them, for a browser
    may send that by itself.
    """
    scheme, _, token = (header("Authorization") or "").partition(" ")
    if request.mimetype == JSON or (scheme.lower() == "bearer" and token.strip()):
        return
    if not any(header(name) for name in SAID_BY_PROGRAMS):
        raise Forbidden(
            "send `Authorization: Bearer KEY` (any text where no key is set) or `X-Tooloo-Passthrough: 1`: a web page"
            " cannot",
            field="Authorization",
        )


@lru_cache(maxsize=1000)
def _hostname(host: str) -> str | None:
    """None: there is none in it."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # brackets that do not match
        return None


def _presented() -> str:
    scheme, _, token = (header("Authorization") or "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return header("X-API-Key") or header("X-Goog-Api-Key") or ""


def _same(shown: str, key: str) -> bool:
    """Compared as digests: neither contents nor length shows in the time it takes."""
    return hmac.compare_digest(shown, _digest_of(key))


@lru_cache(maxsize=4)
def _digest_of(key: str) -> str:
    """Of a key of the environment, which stays what it is."""
    return keys.digest(key)

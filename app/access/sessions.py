"""Sessions of the page: a signed cookie that names a key, and opens what that key opens for as long as it does.

Nothing is kept of a session but that it was ended before its time, so every process knows every session, also after a
restart and where Redis is away. What signs is made of the keys of the environment and of the hash of the session's own
key: it is at an end when that key is revoked or any key of the environment is changed, and who reads the database
beyond loopback can make none.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import threading
from dataclasses import dataclass
from functools import lru_cache

import redis
import structlog

log = structlog.get_logger()

#: s a session lasts; then the key is asked for again
LIFE_S = 12 * 3600
#: longest cookie that is looked at
LONGEST = 1000
#: keys of Redis
_ENDED = "tooloo:session:ended:"


@dataclass(frozen=True, slots=True)
class Session:
    id: str
    #: of the key: the id of a stored one, or the name of the variable
    key: str
    ends_s: int


def begin(key: str, now_s: float) -> Session:
    return Session(secrets.token_urlsafe(18), key, int(now_s) + LIFE_S)


def seal(session: Session, signer: bytes) -> str:
    """The cookie."""
    body = base64.urlsafe_b64encode(json.dumps([session.id, session.key, session.ends_s]).encode()).decode().rstrip("=")
    return f"{body}.{_mac(signer, 'session', body)}"


def read(cookie: str, now_s: float) -> Session | None:
    """What a cookie says of itself, where its time has not run out; nothing is proven before `is_sealed`."""
    body = cookie.partition(".")[0]
    if not cookie.isascii() or len(cookie) > LONGEST:
        return None
    try:
        read_id, key, ends_s = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        return None
    if not (isinstance(read_id, str) and isinstance(key, str) and type(ends_s) is int) or ends_s <= now_s:
        return None
    return Session(read_id, key, ends_s)


def is_sealed(cookie: str, signer: bytes) -> bool:
    body, _, mac = cookie.partition(".")
    return hmac.compare_digest(mac.encode(), _mac(signer, "session", body).encode())


def csrf(session: Session, signer: bytes) -> str:
    """What a write by this session's cookie has to bring besides: a page of somebody else's cannot know it."""
    return _mac(signer, "csrf", session.id)


def signer(admin_key: str | None, api_key: str | None, key_hash: str) -> bytes:
    return hmac.digest(_stretched(admin_key or "", api_key or ""), key_hash.encode(), "sha256")


@lru_cache(maxsize=4)
def _stretched(admin_key: str, api_key: str) -> bytes:
    """Slow on purpose, once per process: who has a cookie could else try out what a weak key of the environment is."""
    return hashlib.scrypt(
        json.dumps([admin_key, api_key]).encode(), salt=b"tooloo session", n=2**14, r=8, p=1, dklen=32
    )


def _mac(signer: bytes, purpose: str, text: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(signer, f"{purpose}:{text}".encode(), "sha256")).decode().rstrip("=")


class Ended:
    """Sessions that somebody signed out of: told through Redis; where it is away, known to this process alone."""

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._lock = threading.Lock()
        self._here: dict[str, int] = {}

    def add(self, session: Session, now_s: float) -> None:
        with self._lock:
            self._here = {name: ends for name, ends in self._here.items() if ends > now_s}
            self._here[session.id] = session.ends_s
        try:
            self._redis.set(_ENDED + session.id, 1, ex=max(1, session.ends_s - int(now_s)))
        except redis.RedisError as error:
            log.warning("sign-out not told to the other processes", reason=str(error))

    def has(self, session: Session) -> bool:
        if session.id in self._here:
            return True
        try:
            return bool(self._redis.exists(_ENDED + session.id))
        except redis.RedisError as error:
            log.warning("not known whether a session was signed out of", reason=str(error))
            return False

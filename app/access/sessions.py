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
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import redis
import structlog

from app.errors import DependencyUnavailable

log = structlog.get_logger()

#: s a session lasts; then the key is asked for again
LIFE_S = 12 * 3600
#: longest cookie that is looked at
LONGEST = 1000
#: s between two looks at all sessions that were ended
LEARN_S = 5.0
#: key of Redis: a set of ids, by the time at which each session would have ended by itself
_ENDED = "tooloo:sessions:ended"


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
    """Sessions that somebody signed out of. Redis has them; each process remembers them for when it is away."""

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._lock = threading.Lock()
        self._known: dict[str, float] = {}
        self._learned_s = -LEARN_S

    def add(self, session: Session, now_s: float) -> None:
        """Raises DependencyUnavailable where the other processes cannot be told: half a sign-out would be none."""
        try:
            pipeline = self._redis.pipeline(transaction=True)
            pipeline.zadd(_ENDED, {session.id: session.ends_s})
            pipeline.zremrangebyscore(_ENDED, "-inf", now_s)
            pipeline.expire(_ENDED, LIFE_S)
            pipeline.execute()
        except redis.RedisError as error:
            log.warning("sign-out not told to the other processes", reason=str(error))
            raise DependencyUnavailable(
                "you are still signed in: Redis is away, so the other processes cannot be told. Try again when it is"
                " back; at once the session ends with its key (tooloo keys revoke, or another one in the environment)"
            ) from None
        self._remember({session.id: session.ends_s}, now_s)

    def has(self, session: Session, now_s: float) -> bool:
        if session.id in self._known:
            return True
        try:
            self._learn(now_s)
            return session.id in self._known or self._redis.zscore(_ENDED, session.id) is not None
        except redis.RedisError as error:
            log.warning("not known whether a session was signed out of", reason=str(error))
            return False

    def _learn(self, now_s: float) -> None:
        """All of them, now and then: so that a process knows those it was never asked for."""
        if time.monotonic() - self._learned_s >= LEARN_S:
            self._learned_s = time.monotonic()
            told: Any = self._redis.zrangebyscore(_ENDED, now_s, "+inf", withscores=True)
            self._remember({name if isinstance(name, str) else name.decode(): ends for name, ends in told}, now_s)

    def _remember(self, ended: Mapping[str, float], now_s: float) -> None:
        with self._lock:
            self._known = {name: ends for name, ends in self._known.items() if ends > now_s} | dict(ended)

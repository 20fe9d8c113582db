"""Which target a conversation is at: kept in Redis, so that every process knows; in memory where Redis is away.

It is the one place where a request may wait for Redis: a turn of a conversation reads one key and writes it anew, for
WAIT_S each at most, and after a failure not at all for PAUSE_S.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import OrderedDict
from typing import Any

import redis
import structlog

from app.domain.catalog import Target
from app.domain.policy import AffinityPolicy
from app.domain.routing.affinity import Session
from app.gateway.calls import Call
from app.providers.base import Answer, Message, Usage
from app.providers.conversation import SYSTEM, Text

log = structlog.get_logger()

PREFIX = "tooloo:session:"
WAIT_S = 0.05
PAUSE_S = 2.0
#: tokens of the shortest prompt that every provider caches
LEAST_CACHED = 2048
#: conversations that a process keeps by itself
MOST_KEPT = 10_000


class Sessions:
    """Of all processes; `connection` is one that gives up after WAIT_S."""

    def __init__(self, connection: redis.Redis, policy: AffinityPolicy) -> None:
        self._connection = connection
        self._policy = policy
        self._lock = threading.Lock()
        #: name → (session, until when: seconds of monotonic())
        self._kept: OrderedDict[str, tuple[Session, float]] = OrderedDict()
        self._away_until_s = 0.0

    def find(self, call: Call) -> Session | None:
        """Of a request that goes on with a conversation; None: of none, or of one that nobody knows any more."""
        if not self._policy.enabled or not _goes_on(call):
            return None
        name = name_of(call)
        found = self._told(name)
        return self._mine(name) if found is None else found

    def keep(self, call: Call, answer: Answer, session: Session) -> None:
        """Where a conversation was answered that may go on, and has something to lose."""
        worth = answer.tool_calls or _goes_on(call) or session.tokens >= self._policy.least_tokens
        if not self._policy.enabled or not worth:
            return
        name, ttl_s = name_of(call), self._policy.ttl_s
        with self._lock:
            self._kept[name] = session, time.monotonic() + ttl_s
            self._kept.move_to_end(name)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        if self._is_away():
            return
        try:
            self._connection.set(PREFIX + name, json.dumps(session.to_json()), ex=int(ttl_s))
        except redis.RedisError as error:
            self._away(error)

    def _told(self, name: str) -> Session | None:
        if self._is_away():
            return None
        try:
            held: Any = self._connection.get(PREFIX + name)
            return None if held is None else Session.from_json(json.loads(held))
        except redis.RedisError as error:
            self._away(error)
        except ValueError as error:
            log.warning("session not readable", reason=str(error))
        return None

    def _mine(self, name: str) -> Session | None:
        """As this process has it: what Redis has forgotten, or was never told."""
        with self._lock:
            session, until_s = self._kept.get(name, (None, 0.0))
        return session if time.monotonic() < until_s else None

    def _is_away(self) -> bool:
        return time.monotonic() < self._away_until_s

    def _away(self, error: redis.RedisError) -> None:
        self._away_until_s = time.monotonic() + PAUSE_S
        log.warning("sessions are this process's own", reason=str(error))


def after(target: Target, usage: Usage, before: Session | None, *, marked: bool) -> Session:
    """A conversation behind an answer of `target`. `marked`: there only what the client marks is cached (Claude).

    Elsewhere all of it is, unless the turn before this one was there too, and nothing of that was found.
    """
    tokens, told = usage.prompt + usage.completion, usage.cached + usage.cache_written
    if marked:
        return Session(target, tokens, told)
    never = before is not None and before.target == target and before.tokens >= LEAST_CACHED
    return Session(target, tokens, tokens if told or not never else 0)


def in_tool_loop(messages: tuple[Message, ...]) -> bool:
    """Do results wait for the model that called for them?"""
    return bool(messages) and messages[-1].role == "tool"


def name_of(call: Call) -> str:
    """What the client calls it, else what it begins with: never the same for two keys, or for two things asked for."""
    begins = call.session if call.session is not None else _beginning(call.messages)
    whole = "\x00".join((call.key or "", call.segment or "", call.asked, str(call.session is None), begins))
    return hashlib.sha256(whole.encode()).hexdigest()[:32]


def _goes_on(call: Call) -> bool:
    return call.session is not None or any(message.role == "assistant" for message in call.messages)


def _beginning(messages: tuple[Message, ...]) -> str:
    """Its instructions, and the first thing the user said."""
    parts: list[str] = []
    for message in messages:
        if message.role in SYSTEM or message.role == "user":
            parts.append(_text(message))
        if message.role == "user":
            break
    return "\x00".join(parts)


def _text(message: Message) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\x01".join(block.text if isinstance(block, Text) else repr(block) for block in message.content)

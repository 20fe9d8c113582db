"""API keys: what a caller may do, on whose behalf, and how often. Only a hash of a key is kept, anywhere."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from app.domain.key_limits import NO_LIMITS, KeyLimits

#: how a key begins, so that a person and a scanner of secrets know one
PREFIX = "tooloo"


class Scope(StrEnum):
    ADMIN = "admin"  # everything: writes, keys, and what the other two allow
    CHAT = "chat"  # requests that cost money
    READ = "read"  # config, results, scorecard
    PASSTHROUGH = "passthrough"  # beside chat: anything that the key of an open provider may do there


class Treatment(StrEnum):
    """What becomes of fields of a request that we have no word for, or that a target has not."""

    STRICT = "strict"  # refused by name
    DROP = "drop"  # left out, and named in x-tooloo-dropped-parameters
    FORWARD = "pass"  # to every target that speaks OpenAI's format; left out and named elsewhere


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept; `id` is the part of it that may be shown."""

    id: str
    name: str
    #: SHA-256 of the whole key, in hex; a key has 256 random bits, so a slow hash would add nothing
    hash: str = field(repr=False)
    scopes: frozenset[Scope]
    #: weights of this segment apply to its requests
    segment: str | None = None
    #: where the request itself does not say; None: as the request's model has it
    parameters: Treatment | None = None
    #: epoch ms from which on it opens nothing; None: it never ends by itself
    expires_at: int | None = None
    limits: KeyLimits = NO_LIMITS

    def is_over(self, now_ms: float) -> bool:
        return self.expires_at is not None and now_ms >= self.expires_at

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "hash": self.hash,
            "scopes": sorted(self.scopes),
            "segment": self.segment,
            "ratePerMinute": self.limits.requests_per_minute,
            "parameters": self.parameters,
            "expiresAt": self.expires_at,
            "limits": self.limits.to_json(),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Scopes of a newer release are left out: they open nothing here. An older one says less than this."""
        known = {scope.value for scope in Scope}
        return cls(
            id=document["id"],
            name=document["name"],
            hash=document["hash"],
            scopes=frozenset(Scope(scope) for scope in document["scopes"] if scope in known),
            segment=document["segment"],
            parameters=treatment_of(document.get("parameters")),
            expires_at=document.get("expiresAt"),
            limits=KeyLimits.from_json(document.get("limits") or {}, document["ratePerMinute"]),
        )


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys that are not revoked, by id; also those whose time is over, of which somebody may have to be told."""

    by_id: Mapping[str, Key] = field(default_factory=dict)

    def find(self, presented: str) -> Key | None:
        """The key that was presented; takes as long for a wrong one as for a right one."""
        key = self.by_id.get(_id_of(presented))
        right = hmac.compare_digest(digest(presented), _NOBODY if key is None else key.hash)
        return key if right else None

    @property
    def has_admin(self) -> bool:
        return any(Scope.ADMIN in key.scopes for key in self.by_id.values())


def treatment_of(kept: str | None) -> Treatment | None:
    """None for a word of a newer release."""
    return Treatment(kept) if kept in set(Treatment) else None


def generate() -> tuple[str, str]:
    """A new id, and the key that is shown once."""
    key_id = secrets.token_hex(6)
    return key_id, f"{PREFIX}_{key_id}_{secrets.token_urlsafe(32)}"


def digest(presented: str) -> str:
    return hashlib.sha256(presented.encode(errors="surrogatepass")).hexdigest()


def looks_like_one(presented: str) -> bool:
    return presented.startswith(f"{PREFIX}_")


def _id_of(presented: str) -> str:
    prefix, _, rest = presented.partition("_")
    key_id, separator, _ = rest.partition("_")
    return key_id if prefix == PREFIX and separator else ""


#: of no key: what an unknown id is compared with
_NOBODY = "0" * 64

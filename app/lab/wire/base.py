"""What every wire format of the lab has in common: a request as read, an answer as decided, and the seam between."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from app.lab.faults import Mistake, Refused
from app.lab.prompt_cache import NOTHING, Cached

Body = TypeVar("Body", bound=BaseModel)

#: a piece of a stream, and how far into the answer it belongs: 0 at its beginning, 1 at its end
Event = tuple[float, bytes]

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Operation(StrEnum):
    """What a URL of a provider asks for."""

    CHAT = "chat"
    COUNT = "count"  # of tokens, of a prompt that is not answered
    EMBED = "embed"
    MODELS = "models"


@dataclass(frozen=True, slots=True)
class Place:
    """A URL, understood. Gemini says in it what others say in the body."""

    operation: Operation
    model: str = ""
    stream: bool = False
    #: a stream of server-sent events; else a JSON array, piece by piece
    sse: bool = True


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    #: JSON schema of its arguments
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A request, understood."""

    model: str
    #: text of the last user message
    prompt: str
    #: text of all messages
    conversation: str
    #: everything in the body but messages and tools, as it stood on the wire
    parameters: Mapping[str, Any]
    stream: bool = False
    sse: bool = True
    include_usage: bool = False
    max_tokens: int | None = None
    temperature: float | None = None
    stop: tuple[str, ...] = ()
    #: the answer has to be a call of this tool
    must_call: Tool | None = None
    #: the answer may be a call of one of these
    may_call: tuple[Tool, ...] = ()
    #: the answer has to be JSON of this schema; empty: any object
    json_schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingCall:
    """A request for vectors, understood."""

    model: str
    #: of what they are wanted; tokens are written out
    inputs: tuple[str, ...]
    texts: tuple[str, ...]
    #: of inputs that came as tokens
    tokens: int
    parameters: Mapping[str, Any]
    dimensions: int | None = None
    base64: bool = False
    #: Gemini has two ways to ask; the answer to one text by itself is no list
    single: bool = False


class Finish(StrEnum):
    """Why the answer ends."""

    STOP = "stop"
    LENGTH = "length"
    TOOL = "tool"
    FILTER = "filter"


@dataclass(frozen=True, slots=True)
class Content:
    """An answer, decided."""

    #: the text (of a tool call: its arguments as JSON), in the pieces a stream sends it in
    chunks: tuple[str, ...]
    finish: Finish
    prompt_tokens: int
    #: reasoning included
    completion_tokens: int
    #: thoughts before the answer, in pieces; whether a caller gets to see them is the provider's way
    thoughts: tuple[str, ...] = ()
    reasoning_tokens: int = 0
    tool_name: str | None = None
    stop_sequence: str | None = None
    cached: Cached = NOTHING

    @property
    def text(self) -> str:
        return "".join(self.chunks)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What makes one answer differ from the next with the same text."""

    created_s: int
    #: 128 random bits
    nonce: int

    def letters(self, length: int) -> str:
        """For ids like `chatcmpl-…`: letters and digits, always the same for one answer."""
        letters, rest = "", self.nonce
        for _ in range(length):
            rest, digit = divmod(rest, len(_ALPHABET))
            letters += _ALPHABET[digit]
            rest = rest or self.nonce
        return letters


@dataclass(frozen=True, slots=True)
class Rejection:
    """An error as the provider answers it."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Wire(Protocol):
    """One provider's protocol. `read` and `place` raise Refused; `reject` turns that into the provider's answer."""

    @property
    def keep_alive(self) -> bytes:
        """What a stream sends while there is nothing to be sent; empty: nothing."""

    def place(self, method: str, path: str, query: Mapping[str, str]) -> Place: ...

    def has_key(self, headers: Mapping[str, str], query: Mapping[str, str]) -> bool: ...

    def read(self, place: Place, headers: Mapping[str, str], raw: bytes) -> Call: ...

    def read_embedding(self, place: Place, raw: bytes) -> EmbeddingCall: ...

    def embeddings(self, call: EmbeddingCall, vectors: Sequence[Sequence[float]], tokens: int) -> bytes: ...

    def plain(self, call: Call, content: Content, stamp: Stamp) -> bytes: ...

    def stream(self, call: Call, content: Content, stamp: Stamp) -> list[Event]: ...

    def inside(self, call: Call, error: bytes) -> bytes:
        """An error's body as the last piece of a stream that had begun."""

    def headers(self, stamp: Stamp) -> dict[str, str]: ...

    def models(self, names: Sequence[str]) -> bytes: ...

    def reject(self, refused: Refused, model: str) -> Rejection: ...


def to_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def validated(kind: type[Body], raw: bytes) -> Body:
    """The body as `kind`; raises Refused with the first thing that is wrong in it."""
    try:
        return kind.model_validate_json(raw, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        why = {"missing": Mistake.MISSING_FIELD, "extra_forbidden": Mistake.UNKNOWN_FIELD}
        where = ".".join(str(part) for part in first["loc"]) or None
        raise Refused(why.get(first["type"], Mistake.INVALID_VALUE), first["msg"], field=where) from None


def parameters(raw: bytes, without: Sequence[str]) -> dict[str, Any]:
    """The keys of a valid body, but for those that hold the conversation."""
    return {name: value for name, value in json.loads(raw).items() if name not in without}


def offered(tools: Mapping[str, Tool], *, free: bool, answered: bool) -> tuple[Tool, ...]:
    """Those a model may call: none where the caller decides, or after the result of a call."""
    return tuple(tools.values()) if free and not answered else ()


def spread(pieces: Sequence[bytes]) -> list[Event]:
    """Pieces as events in even steps, the first at the beginning of the answer."""
    return [(number / len(pieces), piece) for number, piece in enumerate(pieces)]

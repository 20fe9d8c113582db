"""A conversation as it is kept between the formats: typed blocks, and a place for what one provider alone understands.

Nothing of it is written for a target here; app/providers/wire has a writer for each format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Anthropic's cache_control, as the caller sent it
Mark = Mapping[str, Any]

#: roles whose text instructs the model
SYSTEM = frozenset({"system", "developer"})


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    cache: Mark | None = None


@dataclass(frozen=True, slots=True)
class Image:
    #: of the web, or data:TYPE;base64,DATA
    url: str
    #: how closely it is looked at, for those who can choose: auto, low, high
    detail: str | None = None
    cache: Mark | None = None
    #: where it stands in the request, for an error
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class File:
    """One of `url` (of the web, or data:TYPE;base64,DATA) and `id` (of a file that the provider keeps)."""

    url: str = ""
    id: str = ""
    name: str = ""
    cache: Mark | None = None
    #: where it stands in the request, for an error
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Audio:
    #: base64
    data: str
    #: wav, mp3
    format: str
    cache: Mark | None = None
    #: where it stands in the request, for an error
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The model's own words for not answering."""

    text: str
    cache: Mark | None = None


Block = Text | Image | File | Audio | Refusal


@dataclass(frozen=True, slots=True)
class ToolCall:
    id: str
    name: str
    #: JSON text, exactly as the model wrote it
    arguments: str
    #: extra_content of the call: what its provider wants back with it, such as Gemini's signature
    extra: Mapping[str, Any] | None = None
    cache: Mark | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One turn."""

    role: str  # system, developer, user, assistant, tool
    content: str | tuple[Block, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    #: in a tool message: the call it answers
    tool_call_id: str | None = None
    #: who speaks; in a tool message the function
    name: str | None = None
    #: in an assistant's message: what it thought, as text
    reasoning: str = ""
    #: what its provider wants back with it, by the field the caller has it in: thinking_blocks (Claude),
    #: reasoning_details (OpenRouter), extra_content (Gemini)
    extra: Mapping[str, Any] = field(default_factory=dict)
    #: names of fields in it that nobody here has a word for: they go to nobody
    unknown: tuple[str, ...] = ()

    #: the blocks of the turn as the caller wrote them, in the words of its dialect; None: it has none
    native: tuple[Mapping[str, Any], ...] | None = None
    #: in a tool message: the tool failed
    is_error: bool = False


#: in a thought of Claude's that stood behind other blocks of its turn: how much came before it, in characters of text
#: and in tool calls. Ours: clients send it back with the thought, and it is taken off before Claude gets that
PLACE = "tooloo_place"


def placed(thought: Mapping[str, Any], characters: int, calls: int) -> dict[str, Any]:
    """The thought with its place, unless that is the first."""
    return {**thought, PLACE: [characters, calls]} if characters or calls else dict(thought)


def place_of(thought: Mapping[str, Any]) -> tuple[int, int]:
    """In front, where the client lost it or sends what is none."""
    match thought.get(PLACE):
        case [int(characters), int(calls)] if characters >= 0 and calls >= 0:
            return characters, calls
    return 0, 0


def google_signature(extra: Mapping[str, Any] | None) -> str | None:
    """Gemini's signature in an extra_content."""
    google = (extra or {}).get("google")
    signature = google.get("thought_signature") if isinstance(google, Mapping) else None
    return signature if isinstance(signature, str) and signature else None

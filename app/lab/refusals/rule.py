"""What a rule is: whom it is about, what it looks for, and in which words the vendor refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias


class Kind(StrEnum):
    """The kinds of server that refuse differently."""

    OPENAI = "openai"
    DEEPSEEK = "deepseek"
    MISTRAL = "mistral"
    KIMI = "kimi"
    GROQ = "groq"
    GEMINI_OPENAI = "gemini-openai"  # Gemini's endpoint in the OpenAI format
    OPENROUTER = "openrouter"
    XAI = "xai"
    COMPATIBLE = "compatible"  # every other server of the OpenAI format
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"


#: those that speak OpenAI chat completions
CHAT = frozenset(Kind) - {Kind.ANTHROPIC, Kind.GEMINI}

#: a request's JSON body, already of the right basic shape (app/lab/wire)
Body: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Offence:
    """What is wrong in a request, and where."""

    #: dotted path into the body, as `messages.1.content`; empty: the request as a whole
    field: str
    #: in the vendor's words; `{field}` is the path in the vendor's spelling
    says: str


Check: TypeAlias = Callable[[Body], Iterator[Offence]]


@dataclass(frozen=True, slots=True)
class Source:
    """Why the rule is believed."""

    #: by the vendor; else public reports show it
    documented: bool
    #: page or issue
    where: str


def documented(where: str) -> Source:
    return Source(True, where)


def reported(where: str) -> Source:
    return Source(False, where)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    id: str
    kinds: frozenset[Kind]
    #: what is refused, in one line
    about: str
    source: Source
    check: Check
    #: regular expression found in the model's name; empty: every model
    models: str = ""
    status: int = 400
    #: of the error's body, where the vendor has these keys
    type: str = "invalid_request_error"
    code: str | None = None
    #: what depends on the account rather than the request is off until it is asked for
    by_default: bool = True

    def concerns(self, kind: Kind, model: str) -> bool:
        return kind in self.kinds and re.search(self.models, model) is not None


def of(*kinds: Kind) -> frozenset[Kind]:
    return frozenset(kinds)

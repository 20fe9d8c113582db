"""The prompt caches of the simulated providers: what of a prompt each has read before, by that vendor's own rules.

OpenAI, DeepSeek and Gemini cache every prompt by themselves, from a least length on and in whole steps; Claude caches
what ends with a mark, and bills the writing. Sources: the vendors' pages on prompt caching.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.lab.refusals.rule import Body, Kind

TTL_S, HOUR_S = 300.0, 3600.0
#: so that a beginning has the same size whatever stands behind it
CHARACTERS_PER_TOKEN = 4
#: prefixes of one provider; beyond, the oldest go
MOST = 20_000
#: tokens of the shortest prompt that is cached, and the steps in which it is
LEAST: Mapping[Kind, tuple[int, int]] = {
    Kind.OPENAI: (1024, 128),
    Kind.DEEPSEEK: (64, 64),
    Kind.GEMINI: (1024, 1),
    Kind.GEMINI_OPENAI: (1024, 1),
    Kind.ANTHROPIC: (1024, 1),
}
ELSEWHERE = (1024, 128)
#: price of a token read from the cache, as a share of one that is not
READ: Mapping[Kind, float] = {Kind.OPENAI: 0.25, Kind.DEEPSEEK: 0.26, Kind.GEMINI: 0.1, Kind.ANTHROPIC: 0.1}
READ_ELSEWHERE = 0.5
#: … and one that Claude writes, for minutes and for an hour
WRITTEN, WRITTEN_HOUR = 1.25, 2.0


@dataclass(frozen=True, slots=True)
class Cached:
    """Tokens of a prompt."""

    read: int = 0
    written: int = 0
    #: … of which to be kept for an hour
    hour: int = 0
    #: price of a token that is read, as a share of one that is not
    read_share: float = 1.0

    def billed(self, prompt_tokens: int) -> float:
        """The prompt in tokens of the full price."""
        written = (self.written - self.hour) * WRITTEN + self.hour * WRITTEN_HOUR
        return prompt_tokens - self.read - self.written + self.read * self.read_share + written


NOTHING = Cached()


class _Prefix(NamedTuple):
    name: bytes
    #: characters
    length: int
    #: how long it is kept; None: it is not
    keep_s: float | None


class PromptCache:
    """Of one provider."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        #: prefix → until when
        self._known: OrderedDict[bytes, float] = OrderedDict()

    def take(self, model: str, body: Body, prompt_tokens: int, now_s: float) -> Cached:
        """What of this prompt was known; from now on all of it is."""
        least, step = LEAST.get(self._kind, ELSEWHERE)
        prefixes = list(_prefixes(self._kind, model, body))
        sizes = [min(prompt_tokens, each.length // CHARACTERS_PER_TOKEN) // step * step for each in prefixes]
        long = [(each, size) for each, size in zip(prefixes, sizes, strict=True) if size >= least]
        read = max((size for each, size in long if self._known.get(each.name, 0.0) > now_s), default=0)
        for each, _ in long:
            if each.keep_s is not None:
                self._known[each.name] = now_s + each.keep_s
                self._known.move_to_end(each.name)
        while len(self._known) > MOST:
            self._known.popitem(last=False)
        if self._kind is not Kind.ANTHROPIC:
            return Cached(read, read_share=READ.get(self._kind, READ_ELSEWHERE))
        marked = [(each, size) for each, size in long if each.keep_s is not None]
        written = max((size - read for _, size in marked), default=0)
        hour = max((size - read for each, size in marked if each.keep_s == HOUR_S), default=0)
        return Cached(read, max(0, written), max(0, hour), READ[Kind.ANTHROPIC])


def _prefixes(kind: Kind, model: str, body: Body) -> Iterator[_Prefix]:
    """Each beginning of a prompt that may be in a cache: what ends with a block of it."""
    digest, length = hashlib.sha256(model.encode()), 0
    for block, keep_s in _blocks(kind, body):
        text = json.dumps(block, sort_keys=True)
        digest.update(text.encode("utf-8", "surrogatepass"))
        length += len(text)
        yield _Prefix(digest.digest(), length, keep_s)


def _blocks(kind: Kind, body: Body) -> Iterator[tuple[Any, float | None]]:
    """In the order in which a model reads them, and how long what ends there is kept."""
    if kind is Kind.ANTHROPIC:
        yield from _of_claude(body)
        return
    tools, system = body.get("tools"), body.get("systemInstruction", body.get("system_instruction"))
    yield from ((part, TTL_S) for part in (tools, system) if part)
    yield from ((turn, TTL_S) for turn in body.get("messages") or body.get("contents") or ())


def _of_claude(body: Body) -> Iterator[tuple[Any, float | None]]:
    system, automatic = body.get("system"), body.get("cache_control")
    given = [*(body.get("tools") or ()), *(system if isinstance(system, list) else [system] if system else [])]
    for turn in body["messages"]:
        content = turn["content"]
        given += content if isinstance(content, list) else [content]
    for number, block in enumerate(given, 1):
        mark = block.get("cache_control") if isinstance(block, dict) else None
        if mark is None and automatic and number == len(given):
            mark = automatic
        yield _without_mark(block), _keep_s(mark)


def _without_mark(block: Any) -> Any:
    """A mark that moves on with the conversation makes no other prompt of it."""
    return (
        {name: value for name, value in block.items() if name != "cache_control"} if isinstance(block, dict) else block
    )


def _keep_s(mark: Any) -> float | None:
    if not isinstance(mark, Mapping):
        return None
    return HOUR_S if mark.get("ttl") == "1h" else TTL_S

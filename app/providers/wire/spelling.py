"""Ids of tool calls and names of tools, spelled as a target takes them: the same each time, and no two alike."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container
from dataclasses import dataclass, field
from itertools import count

#: of a digest, behind what could be kept
_TAIL = 8


@dataclass(frozen=True, slots=True)
class Alphabet:
    """What a target takes."""

    whole: re.Pattern[str]
    #: a character it does not take
    other: re.Pattern[str]
    longest: int
    #: what may not begin by itself begins with this
    begin: str = ""
    #: there is no room for anything but a digest
    digest_only: bool = False

    def spelled(self, given: str, taken: Container[str]) -> str:
        """As given where that can be, else like it, with a digest of it: by no order of the calls another one."""
        if given not in taken and self.whole.fullmatch(given):
            return given
        for attempt in count():
            spelled = self._with_digest(given, attempt)
            if spelled not in taken:
                return spelled
        raise AssertionError  # count() has no end

    def _with_digest(self, given: str, attempt: int) -> str:
        digest = hashlib.sha256(f"{attempt}:{given}".encode("utf-8", "surrogatepass")).hexdigest()
        if self.digest_only:
            return digest[: self.longest]
        kept = self.other.sub("_", given)
        if self.begin and not self.whole.match(kept[:1] or "-"):
            kept = self.begin + kept
        return f"{kept[: self.longest - _TAIL - 1]}_{digest[:_TAIL]}"


def _alphabet(characters: str, longest: int, *, begin: str = "", first: str = "") -> Alphabet:
    whole = rf"[{first}][{characters}]{{0,{longest - 1}}}" if first else rf"[{characters}]{{1,{longest}}}"
    return Alphabet(re.compile(whole), re.compile(rf"[^{characters}]"), longest, begin)


_PLAIN = "a-zA-Z0-9_-"
#: OpenAI's format takes any id, but no long one; every copy of it takes plain ones
OPENAI_IDS = Alphabet(re.compile(r"[\s\S]{1,40}"), re.compile(r"[^a-zA-Z0-9_-]"), 40)
MISTRAL_IDS = Alphabet(re.compile(r"[a-zA-Z0-9]{9}"), re.compile(r"[^a-zA-Z0-9]"), 9, digest_only=True)
#: no limit is documented; what is much longer than anybody's own is cut
ANTHROPIC_IDS = _alphabet(_PLAIN, 128)
GEMINI_IDS = Alphabet(re.compile(r"[\s\S]+"), re.compile(r"[^a-zA-Z0-9_-]"), 128)

OPENAI_NAMES = _alphabet(_PLAIN, 64)
ANTHROPIC_NAMES = _alphabet(_PLAIN, 128)
GEMINI_NAMES = _alphabet("a-zA-Z0-9_.:-", 64, begin="_", first="a-zA-Z_")


@dataclass(slots=True)
class Names:
    """The names of one request's tools, as they are sent."""

    alphabet: Alphabet
    _sent: dict[str, str] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)

    def sent(self, name: str) -> str:
        if (known := self._sent.get(name)) is not None:
            return known
        spelled = self._sent[name] = self.alphabet.spelled(name, self._taken)
        self._taken.add(spelled)
        return spelled

    def back(self) -> dict[str, str]:
        """As sent → as the caller knows it, for those that differ."""
        return {sent: given for given, sent in self._sent.items() if sent != given}

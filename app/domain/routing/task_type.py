"""Which task type a request is, where it does not say so: words looked for in what the user wrote last.

1. Of the last user message its first and last REACH characters are looked at: instructions stand at the ends. The
   system prompt counts half, as it says what the assistant is for; earlier turns count for nothing.
2. Points: 3 for a mark that only code bears ("```", "console.log"); 2 for an order that only this type gets (a verb of
   making with a thing to be made: "write … function", "write … poem"; a verb of analysing), or a question for a number
   among numbers ("how many … 16 … 3"), which is analysis; 1 for each word that is typical of it, 2 at most.
3. The type with the most points, if they are at least LEAST and more than any other has; `default` else.

It is wrong at times, and being wrong is cheap: the type chooses model parameters and the evidence to rank by. Who knows
better says `taskType`. Words are English and German; in other languages the answer is `default`, code apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from app.domain.catalog import TaskType

#: characters looked at, from each end of a message
REACH = 400
#: points below which nothing is said
LEAST = 2.0


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MAKE = _words(
    "write compose create make invent tell give draft generate implement build code program fix debug refactor optimize"
    " need convert transform schreibe schreib erstelle erfinde erzähle programmiere"
)
_CODE_MARKS = ("```", "console.log", "Traceback (most", "#include", "public static", "</div>", "SELECT * FROM", "=> {")


class _Type(NamedTuple):
    #: with a verb of making
    things: frozenset[str]
    #: orders in themselves
    orders: frozenset[str]
    typical: frozenset[str]


_TYPES = {
    TaskType.CODE: _Type(
        things=_words(
            "function functions method class script regex query code program algorithm endpoint component decorator"
            " unittest typescript javascript python sql json html css funktion skript klasse"
        ),
        orders=_words("refactor debug traceback stacktrace segfault typeerror syntaxerror nullpointerexception"),
        typical=_words(
            "python javascript typescript java rust golang sql regex api html css docker git bug compiler variable"
            " array recursion async mutex c++ c# bash kotlin exception"
        ),
    ),
    TaskType.CREATIVE: _Type(
        things=_words(
            "poem poems haiku limerick sonnet story stories tale song lyrics novel screenplay slogan slogans joke jokes"
            " tagline fairytale ballad verse gedicht geschichte märchen lied witz"
        ),
        orders=_words("brainstorm rhyme rhymes rhyming"),
        typical=_words(
            "creative imaginative fiction fictional whimsical lyrical humorous metaphor imagine stanza plot"
        ),
    ),
    TaskType.ANALYSIS: _Type(
        things=_words("summary analysis comparison evaluation assessment report zusammenfassung analyse"),
        orders=_words(
            "analyze analyse compare contrast evaluate assess critique summarize summarise extract classify interpret"
            " calculate solve prove deduce cons tradeoffs puzzle sentiment vergleiche analysiere berechne"
        ),
        typical=_words(
            "why data trend trends statistics correlation evidence argument strengths weaknesses risks difference"
            " revenue steps percent percentage average total pros advantages disadvantages exactly must sentence"
            " paragraph facts"
        ),
    ),
}
#: any word that is worth a point
_TELLING = frozenset(word for type_ in _TYPES.values() for words in type_ for word in words)
#: asks for a number
_ASKS_NUMBER = re.compile(r"\b(?:how (?:many|much|long|far|old|tall|fast|often)|wie ?viele?|wie (?:lange|weit|alt))\b")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*")
_WORD = re.compile(r"[^\W\d_]+[+#]*")


class Said(Protocol):
    """A turn of a conversation; content that is not text is passed over."""

    @property
    def role(self) -> str: ...

    @property
    def content(self) -> object: ...


def detect(messages: Sequence[Said]) -> TaskType:
    """The task type of a conversation, `default` where nothing speaks for another one."""
    asked = next((turn.content for turn in reversed(messages) if turn.role == "user"), "")
    told = next((turn.content for turn in messages if turn.role in {"system", "developer"}), "")
    points = dict.fromkeys(_TYPES, 0.0)
    for text, worth in ((asked, 1.0), (told, 0.5)):
        if isinstance(text, str) and text:
            for task, found in _points(text).items():
                points[task] += worth * found
    second, best = sorted(points.values())[-2:]
    if best < LEAST or best == second:
        return TaskType.DEFAULT
    return max(points, key=points.__getitem__)


def _points(text: str) -> dict[TaskType, int]:
    ends = text if len(text) <= 2 * REACH else f"{text[:REACH]}\n{text[-REACH:]}"
    lower = ends.lower()
    words = set(_WORD.findall(lower))
    reckons = _ASKS_NUMBER.search(lower) is not None and len(_NUMBER.findall(lower)) >= 2
    if not reckons and words.isdisjoint(_TELLING) and not any(mark in ends for mark in _CODE_MARKS):
        return {}
    makes = not words.isdisjoint(_MAKE)
    points = {
        task: 2 * (not words.isdisjoint(type_.orders) or (makes and not words.isdisjoint(type_.things)))
        + min(2, len(words & type_.typical))
        for task, type_ in _TYPES.items()
    }
    points[TaskType.ANALYSIS] += 2 * reckons
    if any(mark in ends for mark in _CODE_MARKS):
        points[TaskType.CODE] += 3
    return points

"""Reads an answer as a person would, whatever its punctuation, markup or alphabet. Everything here is linear."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from app.domain.grading.language import ARTICLES, FUNCTION_WORDS, NEVER_LED
from app.domain.grading.markup import with_plain_numbers, without_html, without_latex
from app.domain.grading.reasoning import without_reasoning
from app.domain.grading.result import Fault

#: characters of an answer that are graded; the standard prompts ask for 200 to 1,500
MAX_CHARS = 50_000
#: share of distinct four-word runs below which a text counts as repeating itself; prose and code stand above .8
FRESH_SHARE = 0.6
#: share of grammar words in the densest of prose; a heap of keywords stays below
PROSE_SHARE = 0.12
#: shortest sentence that can be told to be an echo of the prompt
ECHO_WORDS = 4
#: shares of articles and prepositions with an impossible word behind them: up to the first it is prose, from the second
#: on it is a heap of words
DISORDER_SHARE = (0.15, 0.3)
#: articles and prepositions below which nothing is told from their share
FEWEST_LED = 6

_SUPERSCRIPTS = {ord(sign): f"^{digit}" for digit, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
_PUNCTUATION = str.maketrans(
    {
        **dict.fromkeys("“”„‟«»″", '"'),
        **dict.fromkeys("‘’‚‛`´′", "'"),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad", None),
        "。": ". ",
        "、": ", ",
        "،": ",",
        "؛": ";",
        "؟": "?",
        "۔": ".",
        "•": "-",
    }
)
#: a digit group may be set off by a space that does not break
_DIGIT_SPACE = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3})")
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|(?:(?![\u3040-\u30ff\u3400-\u9fff])[^\W_])+(?:'[^\W\d_]+)?")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]*_]*\s|\n")
_WRAP = re.compile(r"(?<![.!?:;\n])\n[ \t]{0,20}(?=[a-zà-öø-ÿ])")
_MARKUP = re.compile(r"[*_#>|]+")
_LIST_MARKER = re.compile(r"\s*(?:[-*+]|\(?\d{1,2}[.):])\s+")

#: how talk around an answer begins
_CHAT = (
    *(f"{word}{mark}" for word in ("sure", "certainly", "of course", "absolutely", "enjoy") for mark in ("!", ",")),
    *("here is", "here's", "here are", "i hope", "hope you", "hope this", "let me know", "feel free"),
)


def readable(answer: str) -> str:
    """The part of an answer that is graded: bounded, with one kind of line end, without the model's thinking aloud."""
    text = answer[:MAX_CHARS].replace("\r\n", "\n").replace("\r", "\n")
    return without_reasoning(text).strip()


def plain(text: str) -> str:
    """Text in one spelling: compatibility forms folded (１２ → 12), quotes and dashes made alike, invisibles gone."""
    text = without_latex(without_html(with_plain_numbers(text)))
    text = _DIGIT_SPACE.sub("", text.translate(_SUPERSCRIPTS))
    return unicodedata.normalize("NFKC", text).translate(_PUNCTUATION)[: 2 * MAX_CHARS]


def unmarked(text: str) -> str:
    """Text without emphasis, headings and quote marks of Markdown."""
    return _MARKUP.sub("", text).strip()


def without_marker(line: str) -> str:
    """A list item without its bullet or number."""
    match = _LIST_MARKER.match(line)
    return line[match.end() :] if match else line.strip()


def is_chat(line: str) -> bool:
    """`Here is the poem:` or `Let me know if you need more`: talk around an answer, not part of it."""
    head = line.strip("*_ ").casefold()
    return (head.endswith(":") and 3 <= len(words(head)) <= 15) or head.startswith(_CHAT)


def without_chat(lines: Sequence[str]) -> list[str]:
    """Lines without the talk before and after them."""
    kept = [line for line in lines if line.strip()]
    first, last = 0, len(kept)
    while first < last and is_chat(kept[first]):
        first += 1
    while first < last and is_chat(kept[last - 1]):
        last -= 1
    return kept[first:last]


def is_list_item(line: str) -> bool:
    return _LIST_MARKER.match(line) is not None


def words(text: str) -> list[str]:
    """Words in lower case; a hyphen parts words, and a Chinese or Japanese character is a word of its own."""
    return _WORD.findall(plain(text).casefold())


def words_in(plain_text: str) -> Iterator[re.Match[str]]:
    """The words of a text that is plain and in lower case, with their places."""
    return _WORD.finditer(plain_text)


def sentences(text: str) -> list[str]:
    """Sentences and lines that hold at least one word; a line that goes on in lower case was only wrapped."""
    unwrapped = _WRAP.sub(" ", plain(text))
    return [part.strip() for part in _SENTENCE_END.split(unwrapped) if part and _WORD.search(part)]


def is_prose(spoken: Sequence[str]) -> bool:
    """Whether words make a sentence and not a heap of keywords; a script that cannot be told counts as prose."""
    if len(spoken) < 6 or sum(word.isascii() for word in spoken) < len(spoken) / 2:
        return True
    return sum(word in FUNCTION_WORDS for word in spoken) >= PROSE_SHARE * len(spoken)


def freshness(text: str) -> float:
    """1 for a text that goes on saying new things; falls with the share of it that only repeats itself."""
    spoken = words(text)
    runs = [tuple(spoken[i : i + 4]) for i in range(len(spoken) - 3)]
    return min(1.0, len(set(runs)) / len(runs) / FRESH_SHARE) if len(runs) >= 6 else 1.0


def disorder(text: str) -> Fault:
    """1 for sentences, whatever they say; falls to 0 for their words in another order.

    In English an article or a preposition is followed by what it belongs to. Of the words of a text shuffled or sorted,
    two in five are followed by something that cannot be: another article, a verb, a conjunction.
    """
    checked = wrong = 0
    for part in sentences(text):
        spoken = words(part)
        for word, following in pairwise(spoken):
            if (never := NEVER_LED.get(word)) is not None:
                checked += 1
                wrong += following in never
        if spoken and spoken[-1] in ARTICLES:
            checked, wrong = checked + 1, wrong + 1
    share = wrong / checked if checked >= FEWEST_LED else 0.0
    return min(
        1.0, max(0.0, (DISORDER_SHARE[1] - share) / (DISORDER_SHARE[1] - DISORDER_SHARE[0]))
    ), "words in disorder"


def repetition(text: str) -> Fault:
    return freshness(text), "repeats itself"


def without_echo(text: str, prompt_text: str) -> str:
    """The text without the lines and sentences that only repeat the prompt."""
    asked = _runs(words(prompt_text))
    kept = (line for line in text.split("\n") if not _is_echo(words(line), asked))
    return "\n".join(_drop_echo(line, asked) for line in kept)


def _drop_echo(line: str, asked: frozenset[tuple[str, ...]]) -> str:
    parts = sentences(line)
    left = [part for part in parts if not _is_echo(words(part), asked)]
    return line if len(left) == len(parts) else " ".join(left)


def _is_echo(spoken: Sequence[str], asked: frozenset[tuple[str, ...]]) -> bool:
    return len(spoken) >= ECHO_WORDS and _runs(spoken) <= asked


def _runs(spoken: Sequence[str]) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(spoken[i : i + ECHO_WORDS]) for i in range(len(spoken) - ECHO_WORDS + 1))


def fenced_blocks(text: str) -> list[tuple[str, str]]:
    """(language, body) of each fenced block; one that is cut off ends with the text."""
    blocks: list[tuple[str, str]] = []
    fence, language, body = "", "", [""]
    for line in text.split("\n"):
        mark = line.strip()
        if not fence and mark[:3] in ("```", "~~~"):
            fence, language, body = mark[:3], mark[3:].strip().casefold(), []
        elif fence and mark.startswith(fence):
            blocks.append((language, "\n".join(body)))
            fence = ""
        elif fence:
            body.append(line)
    if fence:
        blocks.append((language, "\n".join(body)))
    return blocks


def named(items: Iterable[str]) -> str:
    """`a, b and 3 more`: a list that stays short in a reason."""
    every = list(items)
    return ", ".join(every[:4]) + (f" and {len(every) - 4} more" if len(every) > 4 else "")

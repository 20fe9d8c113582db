"""What an answer says in the end: without talk, label, quotes, fences and emphasis."""

from __future__ import annotations

import re

from app.domain.grading.text import fenced_blocks, plain, unmarked, without_chat

_FIELD = re.compile(
    r"[\"'](?:final_?)?answer[\"']\s{0,4}:\s{0,4}(?:\"((?:[^\"\\]|\\.){0,2000})\"|([^\n,}]{1,300}))", re.I
)
_LABEL = re.compile(
    r"(?:^|\n|\. )[\s#*_>-]{0,8}(?:so |therefore,? |thus,? )?(?:the |my )?(?:final |correct )?"
    r"(?:answer|result|output|label|category|antwort|réponse|respuesta)[*_]{0,3}\s?(?:is|would be|ist"
    r"|:)[*_]{0,3}:?\s{0,4}([^\n]{1,2000})",
    re.IGNORECASE,
)
_QUOTES = "\"'`“”‘’«»*_ \t"


def final(answer: str) -> str:
    """The answer's field of a JSON object, what stands behind its last label, its only fence, or all of it."""
    if fields := [*_FIELD.finditer(answer)]:
        text = next(group for group in fields[-1].groups() if group is not None)
        return bare(text.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\"))
    if labels := [*_LABEL.finditer(answer)]:
        return bare(labels[-1][1])
    blocks = fenced_blocks(answer)
    if len(blocks) == 1:
        return bare(blocks[0][1])
    return bare("\n".join(without_chat(answer.split("\n"))))


def bare(text: str) -> str:
    """Without emphasis, one pair of quotes and the stop around it."""
    text = unmarked(text).strip() if "\n" not in text.strip() else text.strip()
    text = text.removesuffix(".") if text.count(".") == 1 else text
    return text.strip(_QUOTES)


def folded(text: str, *, case: bool) -> str:
    """For comparing: one spelling of signs, one blank between words, capitals only where `case` says so."""
    same = " ".join(plain(text).split())
    return same if case else same.casefold()

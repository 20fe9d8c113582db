"""Graders `one-of`, `contains`, `label` and `yes-no`: texts that are right or wrong as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from app.domain.grading.commitment import Mention, credit
from app.domain.grading.result import Expectation, Grade, graded, weighed
from app.domain.grading.said import final, folded
from app.domain.grading.text import named, plain, repetition, without_echo

#: what is left for the right label beside another that is left open
HEDGED = 0.25
#: mentions of one label that are looked at
MENTIONS = 30

Text = Annotated[str, Field(min_length=1, max_length=10_000)]
Texts = Annotated[tuple[Text, ...], Field(min_length=1, max_length=200)]

_YES = r"yes|yeah|yep|correct|true|ja|oui|sí|da|affirmative"
_NO = r"no|nope|false|incorrect|nein|non|negative"
_LEADING = re.compile(
    rf"^[\W_]{{0,10}}(?:(?:well|answer|final answer|the answer is|so|hmm)\b[\W_]{{0,5}})?\b(?:({_YES})|({_NO}))\b", re.I
)
_STATED = re.compile(rf"\banswer(?: to (?:this|the) question)?(?: is|:)[\W_]{{0,5}}(?:({_YES})|({_NO}))\b", re.I)


class OneOf(Expectation):
    """The whole final answer is one of these."""

    values: Texts
    #: whether capitals count
    case: bool = False


class Contains(Expectation):
    """Texts that the answer holds, each for its share, and those that it must not."""

    all: tuple[Text, ...] = ()
    any: tuple[Text, ...] = ()
    none: tuple[Text, ...] = ()
    case: bool = False

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if not (self.all or self.any or self.none):
            raise ValueError("give all, any or none")
        return self


class Label(Expectation):
    """One of a set of labels, however the answer speaks of it."""

    label: Text
    labels: Texts

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        if self.label.casefold() not in {label.casefold() for label in self.labels}:
            raise ValueError(f"label {self.label!r} is none of labels")
        return self


class YesNo(Expectation):
    answer: Literal["yes", "no"]


def one_of(expected: OneOf, _prompt_text: str, answer: str) -> Grade:
    said = folded(final(answer), case=expected.case)
    wanted = {folded(value, case=expected.case) for value in expected.values}
    right = said in wanted or folded(answer, case=expected.case) in wanted
    return graded(right, [f"the answer is {said[:100]!r}" + ("" if right else f", not {expected.values[0][:100]!r}")])


def contains(expected: Contains, prompt_text: str, answer: str) -> Grade:
    text = folded(without_echo(answer, prompt_text), case=expected.case)

    def is_there(wanted: str) -> bool:
        return folded(wanted, case=expected.case) in text

    if spoilt := [each for each in expected.none if is_there(each)]:
        return graded(0, [f"holds what it must not: {named(spoilt)}"])
    missing = [each for each in expected.all if not is_there(each)]
    parts = len(expected.all) + bool(expected.any)
    hits = len(expected.all) - len(missing) + any(map(is_there, expected.any))
    reasons = [f"{hits} of {parts} texts are there"] + ([f"missing: {named(missing)}"] if missing else [])
    if expected.any and not any(map(is_there, expected.any)):
        reasons.append(f"none of {named(expected.any)}")
    return weighed(hits / parts if parts else 1.0, reasons, [repetition(answer)])


def label(expected: Label, prompt_text: str, answer: str) -> Grade:
    """The label that the answer commits itself to."""
    said = folded(final(answer), case=False)
    right = folded(expected.label, case=False)
    others = [folded(each, case=False) for each in expected.labels if folded(each, case=False) != right]
    if said == right or said in others:
        return graded(said == right, [f"the label is {said!r}" + ("" if said == right else f", not {right!r}")])
    text = plain(without_echo(answer, prompt_text)).casefold()
    mentions = [Mention(True, *span) for span in _spans(right, text)]
    for other in others:
        longer = right in other or other in right
        mentions += [Mention(False, *span) for span in _spans(other, text) if not (longer and _inside(span, mentions))]
    score = credit(text, sorted(mentions, key=lambda mention: mention.start), HEDGED)
    reason = {1.0: f"the label is {right!r}", HEDGED: f"{right!r} is there, and another label beside it"}
    return weighed(score, [reason.get(score, f"{right!r} is not the label it gives")], [repetition(answer)])


def yes_no(expected: YesNo, _prompt_text: str, answer: str) -> Grade:
    """By the word it begins with, else by `the answer is …`; modal prose is not guessed at."""
    text = plain(answer)
    found = [*_STATED.finditer(text)][-1:] or [*filter(None, [_LEADING.match(final(answer)), _LEADING.match(text)])]
    if not found:
        return graded(0, ["neither yes nor no is said"])
    said = "yes" if found[0][1] else "no"
    if _hedges(text[found[0].end() : found[0].end() + 40]):
        return graded(0, ["yes and no are both said"])
    return graded(said == expected.answer, [f"the answer is {said}"])


def _hedges(behind: str) -> bool:
    return re.match(rf"\s?(?:,|/|and|or)\s?(?:and |or )?(?:{_YES}|{_NO})\b", behind, re.I) is not None


def _spans(wanted: str, text: str) -> Iterator[tuple[int, int]]:
    pattern = re.compile(rf"(?<!\w){re.escape(wanted)}(?!\w)")
    for number, match in enumerate(pattern.finditer(text)):
        if number >= MENTIONS:
            return
        yield match.span()


def _inside(span: tuple[int, int], mentions: list[Mention]) -> bool:
    return any(mention.start <= span[0] and span[1] <= mention.end for mention in mentions)

"""Real prompts, each with what several models answered: a grade 0..1 and what it cost. CSV.

    category,prompt_id,prompt,model,quality,cost_usd

One row per prompt and model; every prompt has all models. The task type is the product's own reading of its words.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from app.domain.catalog import TaskType
from app.domain.routing import task_type

COLUMNS = ("category", "prompt_id", "prompt", "model", "quality", "cost_usd")


class Answer(NamedTuple):
    quality: float
    cost_usd: float


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt with the answers of all models."""

    id: str
    category: str
    task: TaskType
    answers: Mapping[str, Answer]


@dataclass(frozen=True, slots=True)
class _Turn:
    content: str
    role: str = "user"


def read(lines: Iterable[str]) -> tuple[Question, ...]:
    """In the order of the file; raises ValueError naming the line that is wrong."""
    rows = csv.DictReader(lines, strict=True)
    try:
        missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
        if missing:
            raise ValueError(f"line 1: no column {', '.join(missing)}; the columns are {','.join(COLUMNS)}")
        texts: dict[str, tuple[str, str]] = {}
        answers: dict[str, dict[str, Answer]] = {}
        for row in rows:
            prompt, model, answer = _answer(rows.line_num, row)
            texts.setdefault(prompt, (row["category"], row["prompt"]))
            if model in answers.setdefault(prompt, {}):
                raise ValueError(f"line {rows.line_num}: prompt_id {prompt!r} has model {model!r} twice")
            answers[prompt][model] = answer
    except csv.Error as error:
        raise ValueError(f"line {rows.line_num + 1}: not CSV: {error}") from None
    return _whole(texts, answers)


def _answer(line: int, row: Mapping[str, str | None]) -> tuple[str, str, Answer]:
    found = {column: row[column] for column in COLUMNS}
    empty = [column for column, value in found.items() if value is None or (not value and column != "prompt")]
    if empty:
        raise ValueError(f"line {line}: {empty[0]} is missing")
    quality = _number(line, "quality", found["quality"])
    if quality > 1:
        raise ValueError(f"line {line}: quality must be from 0 to 1: got {quality:g}")
    return str(found["prompt_id"]), str(found["model"]), Answer(quality, _number(line, "cost_usd", found["cost_usd"]))


def _number(line: int, column: str, text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ValueError(f"line {line}: {column} must be a number from 0 up: got {text!r}")
    return value


def _whole(texts: Mapping[str, tuple[str, str]], answers: Mapping[str, Mapping[str, Answer]]) -> tuple[Question, ...]:
    models = {model for given in answers.values() for model in given}
    for prompt, given in answers.items():
        lacking = sorted(models - given.keys())
        if lacking:
            raise ValueError(f"prompt_id {prompt!r} has no answer of {lacking[0]!r}: every prompt needs every model")
    if not answers:
        raise ValueError("no prompts")
    return tuple(
        Question(prompt, texts[prompt][0], task_type.detect([_Turn(texts[prompt][1])]), given)
        for prompt, given in answers.items()
    )

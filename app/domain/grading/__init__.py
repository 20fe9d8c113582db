"""Grades answers to benchmark prompts: deterministic, 0..1, with reasons a person can check.

A grader is a name in prompts.toml, here or under the entry point group `tooloo.graders`, where an installed package
offers a Grader of its own. docs/benchmark-prompts.md says what earns points, and what no such grader can see.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any

from pydantic import ValidationError

from app.domain.catalog import Prompt
from app.domain.grading import (
    choices,
    exact,
    explanation,
    extraction,
    javascript,
    json_value,
    logic,
    numeric,
    pattern,
    poem,
    pros_cons,
    similarity,
    structured,
    summary,
)
from app.domain.grading.result import Expectation, Grade, Grader, graded
from app.domain.grading.text import readable
from app.errors import ConfigError, LocalFailure

__all__ = ["ENTRY_POINTS", "GRADERS", "Expectation", "Grade", "Grader", "check", "grade", "graded", "is_slow"]

ENTRY_POINTS = "tooloo.graders"

GRADERS = {
    "exact": Grader(exact.Expected, exact.grade),
    "numeric": Grader(numeric.Expected, numeric.grade),
    "extraction": Grader(extraction.Expected, extraction.grade),
    "json": Grader(json_value.Expected, json_value.grade),
    "javascript": Grader(javascript.Expected, javascript.grade),
    "explanation": Grader(explanation.Expected, explanation.grade),
    "summary": Grader(summary.Expected, summary.grade),
    "poem": Grader(poem.Expected, poem.grade),
    "pros-cons": Grader(pros_cons.Expected, pros_cons.grade),
    "logic": Grader(logic.Expected, logic.grade),
    "one-of": Grader(choices.OneOf, choices.one_of),
    "contains": Grader(choices.Contains, choices.contains),
    "label": Grader(choices.Label, choices.label),
    "yes-no": Grader(choices.YesNo, choices.yes_no),
    "regex": Grader(pattern.Expected, pattern.grade),
    "json-schema": Grader(structured.Schema, structured.schema),
    "json-equal": Grader(structured.Equal, structured.equal),
    "tool-call": Grader(structured.ToolCall, structured.tool_call),
    "similarity": Grader(similarity.Expected, similarity.grade),
}


def grade(prompt: Prompt, answer: str) -> Grade:
    """The grade of an answer; no answer text makes it raise.

    Raises LocalFailure where this machine cannot grade (the JavaScript sandbox does not start, an installed grader
    fails): the answer has no grade then, and its provider no blame. ConfigError: `check` would have refused the prompt.
    """
    grader, expected = _grader(prompt), _expected(prompt)
    text = readable(answer)
    if not text:
        return graded(0, ["the answer is empty"])
    if prompt.grader in GRADERS:
        return grader.grade(expected, prompt.text, text)
    return _foreign(grader, expected, prompt, text)


def is_slow(prompt: Prompt) -> bool:
    """May grading take as long as a provider does: because it starts a process, or is code we do not know?"""
    return prompt.grader in ("javascript", "regex") or prompt.grader not in GRADERS


def check(prompt: Prompt) -> None:
    """ConfigError, naming the key, where the grader is unknown or `expected` has not its shape."""
    _grader(prompt)
    _expected(prompt)


def _grader(prompt: Prompt) -> Grader:
    grader = GRADERS.get(prompt.grader) or _installed(prompt.grader)
    if grader is None:
        known = ", ".join([*GRADERS, *sorted(entry_points(group=ENTRY_POINTS).names)])
        raise ConfigError(f"grader: unknown grader {prompt.grader!r}; known are: {known}", field="grader")
    return grader


@lru_cache(maxsize=64)
def _installed(name: str) -> Grader | None:
    """The grader an installed package offers under this name."""
    for entry in entry_points(group=ENTRY_POINTS, name=name):
        try:
            loaded = entry.load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"grader: {name!r} ({entry.value}) does not load: {error}", field="grader") from error
        if not isinstance(loaded, Grader):
            raise ConfigError(f"grader: {name!r} ({entry.value}) is not a Grader", field="grader")
        return loaded
    return None


def _expected(prompt: Prompt) -> Any:
    try:
        return _grader(prompt).expected.model_validate(prompt.expected)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(["expected", *map(str, first["loc"])])
        reason = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{field}: {reason}: got {str(first.get('input'))[:100]}", field=field) from None


def _foreign(grader: Grader, expected: Any, prompt: Prompt, text: str) -> Grade:
    try:
        found = grader.grade(expected, prompt.text, text)
        return graded(float(found.score), found.reasons)
    except Exception as error:  # code we did not write: whatever it raises is its failure, not the provider's
        raise LocalFailure(f"grader {prompt.grader!r} failed: {type(error).__name__}: {error}") from error

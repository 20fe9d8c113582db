"""Cases of one's own: `config/cases/*.jsonl`, a JSON object per line, asked in rounds beside the standard prompts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError

from app.config_blocks import Block
from app.domain.catalog import Prompt, TaskType
from app.errors import ConfigError

#: cases of all files together: each is asked of every target in every round
MOST = 500
#: characters of a line: a case with a long text to work on
MOST_CHARS = 400_000

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100_000)]
Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Tag = Annotated[str, StringConstraints(pattern=r"^[\w.:/-]{1,64}$")]


class Turn(Block):
    role: Literal["user", "assistant"]
    text: Text


class Case(Block):
    """One line."""

    id: Id
    text: Text
    grader: str
    expected: dict[str, Any]
    #: what stands before the conversation, and what was said before the text
    system: Text | None = None
    turns: Annotated[tuple[Turn, ...], Field(max_length=50)] = ()
    category: Annotated[str, StringConstraints(min_length=1, max_length=100)] = "own cases"
    task_type: TaskType = TaskType.DEFAULT
    max_tokens: Annotated[int, Field(ge=1, le=100_000)] = 1024
    tags: Annotated[tuple[Tag, ...], Field(max_length=20)] = ()
    enabled: bool = True


def load_cases(folder: Path) -> tuple[Prompt, ...]:
    """In the order of files and lines; ConfigError names file, line and field."""
    found: dict[str, tuple[Prompt, str]] = {}
    for path in sorted((folder / "cases").glob("*.jsonl")):
        for where, prompt in _cases(path):
            if prompt.id in found:
                raise _wrong(where, "id", f"{prompt.id!r} is also that of {found[prompt.id][1]}")
            found[prompt.id] = prompt, where
    if len(found) > MOST:
        raise ConfigError(f"{folder / 'cases'}: {len(found)} cases, at most {MOST} are asked", field="cases")
    return tuple(prompt for prompt, _ in found.values())


def _cases(path: Path) -> Iterator[tuple[str, Prompt]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}", field=path.name) from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f"{path}:{number}", case_of(line, f"{path}:{number}")


def case_of(line: str, where: str) -> Prompt:
    """The case of one line, checked with its grader."""
    from app.domain import grading  # slow to import, and nothing to those who have no cases

    if len(line) > MOST_CHARS:
        raise _wrong(where, "line", f"is {len(line)} characters long, at most {MOST_CHARS} are read")
    try:
        case = Case.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"])) or "line"
        raise _wrong(where, field, first["msg"].removeprefix("Value error, ")) from None
    prompt = _prompt(case)
    try:
        grading.check(prompt)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}", field=error.field) from None
    return prompt


def _prompt(case: Case) -> Prompt:
    return Prompt(
        id=case.id,
        category=case.category,
        task_type=case.task_type,
        text=case.text,
        max_tokens=case.max_tokens,
        grader=case.grader,
        expected=case.expected,
        enabled=case.enabled,
        own=True,
        system=case.system,
        turns=tuple((turn.role, turn.text) for turn in case.turns),
        tags=case.tags,
    )


def line_of(case: dict[str, Any]) -> str:
    """A case as a line of a file."""
    return json.dumps(case, ensure_ascii=False)


def _wrong(where: str, field: str, reason: str) -> ConfigError:
    return ConfigError(f"{where}: {field}: {reason}", field=field)

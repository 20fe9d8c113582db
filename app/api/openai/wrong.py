"""What is wrong with a body, out of what pydantic says of it: of a union it says what is wrong with every branch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

#: a branch that is of another type than what was sent is not the one that was meant
_OTHER_TYPE = {"string_type", "list_type", "dict_type", "model_type", "bool_type", "int_type"}
_BRANCHES = {"str", "int", "float", "bool", "dict", "list"}


def most_telling(errors: Sequence[Any]) -> Any:
    """Of the errors at the first place the one of the branch that was meant: of its type, and seen deepest into."""
    head = _place(errors[0])
    here = [error for error in errors if _place(error) == head]
    return min(here, key=lambda error: (error["type"] in _OTHER_TYPE, -len(error["loc"])))


def field(path: Sequence[str]) -> str:
    """The place as the caller wrote it, without the names of branches."""
    named = (part for place, part in enumerate(path) if place == 0 or _is_theirs(part))
    return ".".join(named)


def _place(error: Any) -> tuple[Any, ...]:
    """The field, and its element where it is a list."""
    loc = error["loc"]
    return tuple(loc[:2] if len(loc) > 1 and isinstance(loc[1], int) else loc[:1])


def _is_theirs(part: str) -> bool:
    return part.isdigit() or (part.isidentifier() and part.islower() and part not in _BRANCHES)

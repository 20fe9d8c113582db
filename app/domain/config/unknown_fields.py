"""Names that a newer release put into a document: set aside when it is read, put back when it is written."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any


def set_aside(document: Any, errors: Sequence[Mapping[str, Any]]) -> tuple[Any, dict[str, Any]]:
    """The document without the names that pydantic does not know, and those alone, where they stood."""
    known, unknown = copy.deepcopy(document), dict[str, Any]()
    # the deepest first: what is unknown within something unknown goes with it
    for path in sorted((_path(error) for error in errors if _is_name(error)), key=len, reverse=True):
        source, target = known, unknown
        for step in path[:-1]:
            source, target = source[step], target.setdefault(step, {})
        removed = source.pop(path[-1])
        within = target.get(path[-1])
        target[path[-1]] = overlaid(removed, within) if within else removed
    return known, unknown


def overlaid(document: dict[str, Any], unknown: Mapping[str, Any]) -> dict[str, Any]:
    """`document` with what was set aside back in its place."""
    for name, value in unknown.items():
        mine = document.get(name)
        if isinstance(value, dict) and isinstance(mine, dict):
            overlaid(mine, value)
        elif name not in document:
            document[name] = copy.deepcopy(value)
    return document


def _path(error: Mapping[str, Any]) -> list[Any]:
    return [step for step in error["loc"] if step != "[key]"]


def _is_name(error: Mapping[str, Any]) -> bool:
    """Is it about a name? An unknown task type is the error of an enum at its key."""
    return error["type"] == "extra_forbidden" or (error["type"] == "enum" and str(error["loc"][-1]) == "[key]")

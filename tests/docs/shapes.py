"""Whether an answer is as a page shows it: the same keys, and values of the same types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

#: a key of a page's object: it has others besides; and a text that stands for any value
ELLIPSIS = "…"


def differences(shown: Any, real: Any, at: str = "$") -> Iterator[str]:
    """What a reader would not find; null, on either side, may be anything."""
    if shown is None or real is None or shown == ELLIPSIS:
        return
    if isinstance(shown, dict) and isinstance(real, dict):
        yield from _of_objects(shown, real, at)
    elif isinstance(shown, list) and isinstance(real, list):
        for number, each in enumerate(shown):
            yield from _of_any(each, real, f"{at}[{number}]")
    elif _kind(shown) != _kind(real):
        yield f"{at} is shown as {_kind(shown)}, and is {_kind(real)}"


def found(shown: Any, real: Any) -> list[str]:
    """Empty where it is the answer, or some part of it; else what it lacks of the part that is nearest."""
    return min((list(differences(shown, part)) for part in _parts(real)), key=len)


def _of_objects(shown: dict[str, Any], real: dict[str, Any], at: str) -> Iterator[str]:
    for key in shown.keys() - real.keys() - {ELLIPSIS}:
        yield f"{at}.{key} is shown, and is not there"
    for key in real.keys() - shown.keys() if ELLIPSIS not in shown else ():
        yield f"{at}.{key} is there, and not shown"
    for key in shown.keys() & real.keys():
        yield from differences(shown[key], real[key], f"{at}.{key}")


def _of_any(shown: Any, real: list[Any], at: str) -> Iterator[str]:
    """A shown item is like one of the real ones."""
    if not real:
        yield f"{at} is shown, and the list is empty"
    else:
        yield from min((list(differences(shown, each, at)) for each in real), key=len)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    return {str: "a text", dict: "an object", list: "a list"}[type(value)]


def _parts(value: Any) -> Iterator[Any]:
    yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        if isinstance(each, dict | list):
            yield from _parts(each)

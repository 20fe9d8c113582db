"""How deep a JSON value goes, found without going down: what recurses over it may fail beyond some depth."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

#: levels of lists and objects in each other that are taken; Python's own JSON writer fails at about a thousand
DEEPEST = 200

#: bytes of a text that is too deep to be read, in which its place is looked for
SEARCHED = 1_000_000

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:]', re.DOTALL)

Path = tuple[str, ...]


def beyond(value: object, limit: int = DEEPEST) -> Path | None:
    """The way to the first place that lies deeper than `limit` levels; None: there is none."""
    level: list[tuple[object, int]] = [(value, -1)]
    trail: list[tuple[int, str]] = []
    for _ in range(limit + 1):
        below: list[tuple[object, int]] = []
        for part, came in level:
            for key, child in _children(part):
                if isinstance(child, Mapping | list | tuple):
                    trail.append((came, key))
                    below.append((child, len(trail) - 1))
        if not below:
            return None
        level = below
    return _way(trail, level[0][1])


def way_in(text: bytes) -> Path:
    """The name in the outermost object under which JSON text goes deep; () where it is not found in its first MB."""
    depth, name, last = 0, "", b""
    for found in _TOKEN.finditer(text, 0, SEARCHED):
        token = found[0]
        depth += (token in b"{[") - (token in b"}]")
        if token == b":" and depth == 1:
            name = last.decode(errors="replace")[1:-1]
        if depth > DEEPEST:
            return (name,) if name else ()
        last = token
    return ()


def _children(part: object) -> Sequence[tuple[str, object]]:
    if isinstance(part, Mapping):
        return [(str(key), child) for key, child in part.items()]
    if isinstance(part, list | tuple):
        return [(str(place), child) for place, child in enumerate(part)]
    return []


def _way(trail: Sequence[tuple[int, str]], last: int) -> Path:
    steps: list[str] = []
    while last >= 0:
        last, key = trail[last]
        steps.append(key)
    return tuple(reversed(steps))

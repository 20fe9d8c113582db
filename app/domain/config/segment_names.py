"""Names of segments that a request can give. No part of the schema: a stored document that has others is still read."""

from __future__ import annotations

from collections.abc import Iterable

from app.errors import InvalidRequest

#: characters of the longest, in a document as in a request
LONGEST = 100


def check(names: Iterable[str]) -> None:
    """Raises InvalidRequest for the first that no request can name."""
    for name in names:
        if not 1 <= len(name) <= LONGEST or not name.isprintable():
            why = f"the name of a segment has 1 to {LONGEST} printable characters: got {len(name)}"
            raise InvalidRequest(f"segments: {why}", field=f"segments.{name[:LONGEST]}")

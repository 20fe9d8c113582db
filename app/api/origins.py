"""Which page of a browser asks, by its Origin: one of this machine may call, one of anywhere else may not."""

from __future__ import annotations

import re
from collections.abc import Container

from app.errors import Forbidden

_PAGE = re.compile(r"https?://(?P<host>\[[0-9a-f:]+\]|[^\[\]:@/]+)(?::[0-9]{1,5})?")


def refuse_foreign(origin: str, ours: Container[str | None]) -> None:
    """`null` is a page that hides where it is from. What is no page (`app://…`, an editor) has no server behind it."""
    if origin == "null" or (origin.startswith(("http://", "https://")) and _host(origin) not in ours):
        raise Forbidden(
            f"a page of {origin[:100]} may not call this: call it from a program, or from a page on this machine",
            field="Origin",
        )


def _host(origin: str) -> str | None:
    found = _PAGE.fullmatch(origin)
    return found["host"].strip("[]") if found else None

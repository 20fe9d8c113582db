"""Events of a stream that are none of its format: keep-alives, several in one, errors outside of any."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from app.errors import ProviderError
from app.providers.http.sse import Event
from app.providers.wire import lenient
from app.providers.wire.problem import Problem

#: what some send between the events of an answer, and is none: no word can have been lost with it
_NOTHING = re.compile(rb'\s*(null|\[\s*\]|""|ping|keep-?alive|heartbeat)?\s*', re.IGNORECASE)
#: names of events that hold nothing of an answer
_SIGNS_OF_LIFE = (b"ping", b"keepalive", b"keep-alive", b"heartbeat")
_LAST_WORD = re.compile(rb'\s*"?\[DONE\]"?\s*', re.IGNORECASE)
#: of an event whose data repeats the field's name
_TWICE = re.compile(rb"\s*data:\s*")
#: … and of a line that is none of server-sent events
_ERROR = re.compile(rb"\s*error:\s*")


def says_nothing(event: Event) -> bool:
    return event.name in _SIGNS_OF_LIFE or _NOTHING.fullmatch(event.data) is not None


def is_last_word(data: bytes) -> bool:
    return _LAST_WORD.fullmatch(data) is not None


def apart(event: Event) -> list[Event]:
    """The events that stand in this one without a blank line between them, or with their field's name twice.

    Empty: it is not made of such.
    """
    lines = [_TWICE.sub(b"", line, count=1).strip() for line in event.data.splitlines()]
    lines = [line for line in lines if line]
    if lines == [event.data.strip()] or not all(_is_one(line) for line in lines):
        return []
    return [Event(line, event.name) for line in lines]


def _is_one(line: bytes) -> bool:
    return (line.startswith(b"{") and line.endswith(b"}")) or is_last_word(line)


def stray_error(
    lines: Sequence[bytes], error_class: Callable[[int, Problem], type[ProviderError]]
) -> ProviderError | None:
    """The error that a server wrote into its stream as it is, and not as an event; None: there is none."""
    data = _ERROR.sub(b"", b"\n".join(lines), count=1)
    return lenient.error_inside(data, error_class) if lenient.is_error(data) else None

"""Server-sent events, parsed from bytes as they arrive.

Follows the WHATWG HTML standard, §9.2.6, with one difference: an event that the stream ends in the middle of is given
out by `end()`, because Gemini's and some compatible servers' last event has no blank line behind it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from app.errors import UnusableAnswer

#: bytes of the longest event taken
MAX_EVENT = 16 * 1024 * 1024

#: lines that are kept of what is no event, and bytes of one
MAX_STRAYS = 100
MAX_STRAY = 10_000

#: blank lines and comments in front of an answer
KEEP_ALIVES = re.compile(rb"(?:\s++|:[^\n]*+\n)*+")

#: what a line of server-sent events may begin with
STREAM_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")


class Event(NamedTuple):
    """One event with data. Comments, ids and retry hints are left out."""

    data: bytes
    #: of the `event:` field; empty where there is none
    name: bytes = b""


class EventParser:
    """Bytes in, whole events out, for any way the bytes are cut."""

    def __init__(self) -> None:
        self._rest = bytearray()  # an unfinished line
        self._after_cr = False  # the last line ended with CR: a LF at the start of the next piece belongs to it
        self._first_line = True
        self._name = b""
        self._data: list[bytes] = []
        self._size = 0
        #: lines that are no field of an event: an error may stand in them
        self.strays: list[bytes] = []

    def feed(self, piece: bytes) -> list[Event]:
        """The events that `piece` completes. Raises UnusableAnswer for one longer than MAX_EVENT."""
        if (  # what nearly all pieces are: an event of one line, with nothing before it
            piece.startswith(b"data: ")
            and piece.find(b"\n") == len(piece) - 2
            and piece.endswith(b"\n\n")
            and b"\r" not in piece
            and not (self._rest or self._data or self._name or self._after_cr)
        ):
            self._first_line = False
            self._bound(len(piece))
            return [Event(piece[6:-2])]
        if self._after_cr and piece:
            self._after_cr = False
            piece = piece.removeprefix(b"\n")
        cut = max(piece.rfind(b"\n"), piece.rfind(b"\r")) + 1
        if cut == 0:
            self._rest += piece
            self._bound(len(self._rest))
            return []
        self._after_cr = piece.endswith(b"\r")
        lines = bytes(self._rest) + piece[:cut]
        self._rest = bytearray(piece[cut:])
        return self._events(lines)

    def end(self) -> list[Event]:
        """The event that the stream ended in the middle of, if any."""
        lines = bytes(self._rest) + b"\n\n"
        self._rest = bytearray()
        return self._events(lines)

    def _events(self, lines: bytes) -> list[Event]:
        events = []
        for line in lines.splitlines():
            if self._first_line:
                self._first_line = False
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line:
                self._field(line)
            elif self._data:
                events.append(Event(b"\n".join(self._data), self._name))
                self._name, self._data, self._size = b"", [], 0
            else:
                self._name = b""
        return events

    def _field(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._size += len(value)
            self._bound(self._size)
        elif field == b"event":
            self._name = value
        elif field not in (b"", b"id", b"retry") and len(self.strays) < MAX_STRAYS:
            self.strays.append(line[:MAX_STRAY])

    @staticmethod
    def _bound(size: int) -> None:
        if size > MAX_EVENT:
            raise UnusableAnswer(f"an event of the stream is longer than {MAX_EVENT} bytes")


def without_keep_alives(body: bytes) -> bytes:
    """DeepSeek sends blank lines, others comments, in front of an answer that has to queue."""
    found = KEEP_ALIVES.match(body)
    return body[found.end() :] if found else body


def is_a_stream(body: bytes) -> bool:
    """Is a body that was to be JSON a stream?"""
    return without_keep_alives(body.removeprefix(b"\xef\xbb\xbf")).startswith(STREAM_FIELDS)


def begins_a_stream(body: bytes) -> bool:
    """Is a body that holds no whole event the beginning of one? Its type does not say: some send the wrong one."""
    begin = without_keep_alives(body).removeprefix(b"\xef\xbb\xbf")
    return any(begin.startswith(field) or field.startswith(begin) for field in STREAM_FIELDS)

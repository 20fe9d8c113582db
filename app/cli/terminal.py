"""What reaches a terminal: text of providers, models and people cannot drive it.

Control characters (C0 but line feed and tab, DEL, C1) and those that reorder text (bidi) are shown as escapes, in the
one place through which every command writes. Where the output is no terminal it goes as it came.
"""

from __future__ import annotations

import io
import re
import sys
from typing import TextIO

#: escape sequences begin with some of these, carriage returns overwrite lines, bidi controls reorder what is read
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def escape(text: str) -> str:
    """As JSON would spell them, so that printed JSON stays JSON."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def one_line(text: str) -> str:
    """For a place where a line feed would pass for a line of ours."""
    return escape(text).replace("\n", "\\n").replace("\t", "\\t")


class _Escaped(io.TextIOBase):
    """A terminal that gets no control character but line feed and tab."""

    def __init__(self, raw: TextIO) -> None:
        self.raw = raw

    def write(self, text: str) -> int:
        self.raw.write(escape(text))
        return len(text)

    def flush(self) -> None:
        self.raw.flush()

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.raw.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # TextIOBase declares it as a plain attribute
        return self.raw.encoding


def shield() -> None:
    """From now on terminals of this process get escaped text; once is enough."""
    if sys.stdout.isatty() and not isinstance(sys.stdout, _Escaped):
        sys.stdout = _Escaped(sys.stdout)
    if sys.stderr.isatty() and not isinstance(sys.stderr, _Escaped):
        sys.stderr = _Escaped(sys.stderr)


def unshielded(stream: TextIO) -> TextIO:
    """For output that has colours of our own, and whose writers escape what is not."""
    return stream.raw if isinstance(stream, _Escaped) else stream

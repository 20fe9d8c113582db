"""What commands write: text of providers, models and people drives no terminal and passes for no line of ours.

Control characters (C0 but line feed and tab, DEL, C1) and those that reorder text (bidi) are shown as escapes, in the
one place through which every command writes, also into a pipe: `less -R` and `tee` end on a terminal too. As they came
go only answers, values and keys that were asked for by themselves, and only where the output is no terminal.
"""

from __future__ import annotations

import io
import re
import shutil
import sys
import textwrap
from typing import TextIO

import click

#: escape sequences begin with some of these, carriage returns overwrite lines, bidi controls reorder what is read,
#: and half a character (surrogate) has no bytes
_UNSAFE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def escape(text: str) -> str:
    """As JSON would spell them, so that printed JSON stays JSON."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def one_line(text: str) -> str:
    """For a place where a line feed would pass for a line of ours."""
    return escape(text).replace("\n", "\\n").replace("\t", "\\t")


def say(text: str, *, err: bool = False) -> None:
    """A line of ours, whatever is quoted in it: into a pipe one line, on a terminal with whole words in each."""
    line = one_line(text)
    click.echo(wrapped(line) if (sys.stderr if err else sys.stdout).isatty() else line, err=err)


def wrapped(line: str) -> str:
    """What goes on is set in by two more; a word that is longer than the terminal stays whole, to be copied."""
    inset = line[: len(line) - len(line.lstrip())]
    width = shutil.get_terminal_size().columns
    told = textwrap.wrap(line, width, subsequent_indent=f"{inset}  ", break_long_words=False, break_on_hyphens=False)
    return "\n".join(told)


def give(text: str, *, nl: bool = True) -> None:
    """What was asked for by itself, and is the whole output: into a pipe or a file as it came."""
    if sys.stdout.isatty():
        click.echo(text, nl=nl)
    else:
        whole = text.encode("utf-8", "backslashreplace").decode()
        click.echo(whole, nl=nl, file=unshielded(sys.stdout), color=True)  # else click takes escape sequences out


class _Escaped(io.TextIOBase):
    """A stream that gets no control character but line feed and tab."""

    def __init__(self, raw: TextIO) -> None:
        self.raw = raw

    def write(self, text: str) -> int:
        self.raw.write(escape(text))
        return len(text)

    def flush(self) -> None:
        self.raw.flush()

    def isatty(self) -> bool:
        return self.raw.isatty()

    def fileno(self) -> int:
        return self.raw.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # TextIOBase declares it as a plain attribute
        return self.raw.encoding


def shield() -> None:
    """From now on stdout and stderr of this process get escaped text; once is enough."""
    if not isinstance(sys.stdout, _Escaped):
        sys.stdout = _Escaped(sys.stdout)
    if not isinstance(sys.stderr, _Escaped):
        sys.stderr = _Escaped(sys.stderr)


def unshielded(stream: TextIO) -> TextIO:
    """For output that has colours of our own, and whose writers escape what is not."""
    return stream.raw if isinstance(stream, _Escaped) else stream

"""Many processes on one terminal: `name │ line`."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from typing import TextIO

import click

from app.cli.terminal import escape, one_line

_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta")

#: name of the lines that `tooloo up` itself says
OWN = "tooloo"


class PrefixedLines:
    """Puts whole lines on `stream`, in a colour per process where that is a terminal."""

    def __init__(self, names: Iterable[str], stream: TextIO) -> None:
        self._stream = stream
        self._partial: dict[str, bytes] = {}
        names = [OWN, *names]
        width = max(map(len, names))
        colours = itertools.chain([None], itertools.cycle(_COLOURS))
        self._prefix = {
            name: click.style(f"{name:<{width}} │ ", fg=colour, bold=colour is None)
            if stream.isatty()
            else f"{name:<{width}} │ "
            for name, colour in zip(names, colours, strict=False)
        }
        #: the terminal or the reader of the pipe is gone
        self.broken = False

    def say(self, text: str) -> None:
        """A line of our own."""
        self._write(OWN, one_line(text))

    def feed(self, name: str, output: bytes) -> None:
        """Output as it was read from a pipe: any number of lines, the last one perhaps unfinished."""
        *lines, rest = (self._partial.pop(name, b"") + output).split(b"\n")
        for line in lines:
            self._write(name, line.decode("utf-8", "replace").rstrip("\r"))
        if rest:
            self._partial[name] = rest

    def end(self, name: str) -> None:
        """The process has ended: show what it left without a line end."""
        if name in self._partial:
            self.feed(name, b"\n")

    def close(self) -> None:
        """Python flushes stdout once more at its end; without a reader that would end in a complaint."""
        if self.broken:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def _write(self, name: str, line: str) -> None:
        if self.broken:
            return
        try:
            self._stream.write(f"{self._prefix[name]}{escape(line)}\n")
            self._stream.flush()
        except OSError:
            self.broken = True

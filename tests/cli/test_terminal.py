"""Text of providers and people cannot drive the terminal it is shown on."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from app.cli.terminal import escape, one_line

PROGRAM = r"""
import click
from rich.table import Table
from app.cli.console import Console
from app.cli.terminal import shield
shield()
click.echo("title \x1b]0;owned\x07 csi \x9b31m bidi \u202e")
click.echo("error \x1b[2J", err=True)
table = Table("said")
table.add_row("cell \x1b[31m [red]markup[/red]")
Console().print(table)
"""


@pytest.mark.parametrize(
    "character", ["\x00", "\x07", "\x08", "\r", "\x1b", "\x7f", "\x85", "\x9b", "\u202e", "\u2066"]
)
def test_a_character_that_drives_a_terminal_is_shown_as_an_escape(character: str) -> None:
    assert escape(f"a{character}b") == f"a\\u{ord(character):04x}b"


def test_text_stays_as_it_is() -> None:
    assert escape("tab\tline\n– ü 漢字 🙂") == "tab\tline\n– ü 漢字 🙂"


def test_a_line_of_ours_is_one_line() -> None:
    assert one_line("ok\n2026-01-01 forged") == "ok\\n2026-01-01 forged"


def test_neither_echo_nor_tables_let_a_sequence_through() -> None:
    master, slave = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=slave, stderr=slave) as process:
        os.close(slave)
        shown = b""
        while part := _read(master):
            shown += part
        assert process.wait(30) == 0
    os.close(master)

    assert b"\\u001b]0;owned\\u0007" in shown
    assert b"\x1b]0" not in shown
    assert b"\x1b[2J" not in shown
    assert b"\x1b[31m" not in shown
    assert b"[red]markup[/red]" in shown


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 65_536)
    except OSError:  # Linux' way to say that the other side is closed
        return b""

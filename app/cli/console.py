"""Tables and progress on a terminal: what `--json` does not need to load."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from rich import console as rich_console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from app.cli.terminal import one_line, unshielded

#: wider than any table
_UNBOUND = 10_000


class Console(rich_console.Console):
    """Rich's, which draws with escape sequences of its own: texts are escaped before they are laid out.

    A text is one line, or one in its cell: a line feed in it would begin a line, or a row, that passes for ours.
    """

    def __init__(self, *, stderr: bool = False, **options: Any) -> None:
        stream = unshielded(sys.stderr if stderr else sys.stdout)
        super().__init__(file=stream, markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(one_line(text), **options)

    def show(self, table: Table) -> None:
        """As a table where that fits whole, else row by row: a cut name or figure says less than a second line."""
        unbound = self.options.update(width=_UNBOUND)
        if Measurement.get(self, unbound, table).minimum <= self.width:
            self.print(table)
            return
        if table.title:
            self.print(table.title)
        for cells in zip(*(column.cells for column in table.columns), strict=True):
            for line in _row([str(column.header) for column in table.columns], list(map(str, cells)), _lead(table)):
                self.print(line)


def _lead(table: Table) -> int:
    """How many columns name the row: up to the first that is no figure."""
    return next((number for number, column in enumerate(table.columns, 1) if column.justify == "left"), 1)


def _row(headings: Sequence[str], cells: Sequence[str], lead: int) -> Iterator[str]:
    yield "  ".join(filter(None, cells[:lead]))
    told = [f"{heading} {cell}" for heading, cell in zip(headings[lead:], cells[lead:], strict=True) if cell]
    yield from textwrap.wrap(" · ".join(told), 76, initial_indent="    ", subsequent_indent="    ")

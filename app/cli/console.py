"""Tables and progress on a terminal: what `--json` does not need to load."""

from __future__ import annotations

import sys
from typing import Any

from rich import console as rich_console
from rich.text import Text

from app.cli.terminal import one_line, unshielded


class Console(rich_console.Console):
    """Rich's, which draws with escape sequences of its own: texts are escaped before they are laid out.

    A text is one line, or one in its cell: a line feed in it would begin a line, or a row, that passes for ours.
    """

    def __init__(self, *, stderr: bool = False, **options: Any) -> None:
        stream = unshielded(sys.stderr if stderr else sys.stdout)
        super().__init__(file=stream, markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(one_line(text), **options)

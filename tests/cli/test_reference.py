"""docs/cli.md is what the commands say of themselves."""

from __future__ import annotations

from tests.support.cli_reference import PAGE, page


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run .venv/bin/python -m tests.support.cli_reference"

"""Tables where they fit, rows where they do not, and lines of whole words on a terminal."""

from __future__ import annotations

import pytest
from rich.table import Table

from app.cli import terminal
from app.cli.console import Console


def table(*rows: tuple[str, ...]) -> Table:
    made = Table(title="config 3", title_justify="left", box=None, pad_edge=False, collapse_padding=True)
    made.add_column("target")
    for name in ("score", "ms", "success"):
        made.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        made.add_row(*row)
    return made


def test_a_table_that_fits_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    Console(width=40).show(table(("acme/large", ".823", "297", "1.00")))

    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["config", "3"],
        ["target", "score", "ms", "success"],
        ["acme/large", ".823", "297", "1.00"],
    ]


def test_one_that_does_not_is_shown_row_by_row_with_nothing_cut(capsys: pytest.CaptureFixture[str]) -> None:
    name = "openrouter-europe/anthropic-claude-sonnet"
    Console(width=50).show(table((name, ".823", "297", "1.00"), ("acme/large", ".741", "", "–")))

    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "config 3",
        name,
        "    score .823 · ms 297 · success 1.00",
        "acme/large",
        "    score .741 · success –",
    ]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("short", ["short"]),
        ("  one two three four five", ["  one two three four", "    five"]),
        # a word that is to be copied stays whole
        ("see https://example.com/a-long-path", ["see", "  https://example.com/a-long-path"]),
        ("", []),
    ],
)
def test_a_long_line_is_broken_between_words(line: str, shown: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")

    assert terminal.wrapped(line).splitlines() == shown

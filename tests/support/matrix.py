"""Writes the table of capabilities into docs/providers.md: python -m tests.support.matrix"""

from __future__ import annotations

from pathlib import Path

from app.providers import capabilities

PAGE = Path(__file__).parents[2] / "docs" / "providers.md"
BEGIN, END = "<!-- matrix: .venv/bin/python -m tests.support.matrix -->\n", "<!-- /matrix -->"


def written(page: str) -> str:
    """The page with the table as it should be."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + capabilities.table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

"""What docs/gateway.md says of Anthropic's Messages."""

from __future__ import annotations

from app.api.anthropic import answer, request
from tests.support.messages_table import PAGE, ROWS, written

SECTION = PAGE.read_text(encoding="utf-8").partition("## Anthropic's Messages")[2].partition("\n## ")[0]


def test_the_table_is_what_the_code_does() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page) == page, "run .venv/bin/python -m tests.support.messages_table"


def test_every_field_has_a_row() -> None:
    rows = "".join(ROWS)
    told_elsewhere = {"model", "messages", "stream", "segment", "require_parameters", "output_format"}
    assert [name for name in request.FIELDS - told_elsewhere if f"`{name}" not in rows] == []


def test_every_type_of_error_has_a_row() -> None:
    for status, kind in answer._TYPES.items():
        assert f"| {status} `{kind}`" in SECTION

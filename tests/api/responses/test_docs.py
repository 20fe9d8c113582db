"""The table of fields in docs/gateway.md says what the code does, of every field that the official SDK knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import responses_table
from tests.support.recording import recording


def test_every_field_of_the_sdk_is_asked_with() -> None:
    assert responses_table.fields() == sorted(responses_table.ASKED)


def test_the_table_is_what_asking_shows(tmp_path_factory: pytest.TempPathFactory) -> None:
    page = responses_table.PAGE.read_text(encoding="utf-8")
    folder: Path = tmp_path_factory.mktemp("recorded")
    with recording(folder) as front:
        assert responses_table.written(page, front) == page, "run: .venv/bin/python -m tests.support.responses_table"

"""docs/security.md names tests: each is there."""

from __future__ import annotations

import re

from tests.support.system import ROOT

PAGE = ROOT / "docs" / "security.md"


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text(encoding="utf-8")))
    there = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^ *(?:async )?def (test_\w+)", file.read_text(encoding="utf-8"), re.M)
    }

    assert len(named) > 30
    assert named - there == set()


def test_every_threat_names_a_test() -> None:
    rows = [[cell.strip() for cell in line.split("|")] for line in PAGE.read_text(encoding="utf-8").splitlines()]
    threats = [row for row in rows if len(row) == 6 and row[1] != "threat" and not row[1].startswith("--")]

    assert len(threats) > 20
    assert [row[1] for row in threats if not re.search(r"`test_\w+`", row[3])] == []

"""One stack per file, and the table at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.story import Record
from tests.faults.world import World
from tests.faults.world import world as make_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """For all stories of a file: each waits until all is well before it begins."""
    with make_world(tmp_path_factory.mktemp("world")) as made:
        made.slow(300)
        yield made


@pytest.fixture
def record(record_property: Record) -> Record:
    """What a row of the table is made of, beside the outcome of the test itself."""
    return record_property


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = []
    for outcome, holds in (("passed", "holds"), ("failed", "FAILS")):
        for report in terminalreporter.stats.get(outcome, ()):
            told = dict(getattr(report, "user_properties", ())).get("fault")
            if told is not None:
                rows.append((told["row"], told["done"], told["seen"], holds, told["wrong"]))
    if rows:
        terminalreporter.section("faults")
    for row, done, seen, holds, wrong in sorted(rows):
        terminalreporter.write_line(f"{row} | {done} | {seen} | {holds}")
        for each in wrong:
            terminalreporter.write_line(f"    {each}")

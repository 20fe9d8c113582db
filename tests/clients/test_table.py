"""How what clients report becomes cells of the table and an exit code."""

from __future__ import annotations

import json

import pytest

from tests.clients import running, table
from tests.clients.catalogue import CLIENTS, FEATURES
from tests.clients.running import Report, Result

CLIENT = CLIENTS[0]
NOT_THERE = "Error code: 404 - there is no POST /v1/nothing here; there are chat/completions and models"


@pytest.mark.parametrize(
    ("errors", "cell"),
    [
        ([], "—"),
        ([None, None], "ok"),
        ([NOT_THERE], "missing"),
        ([NOT_THERE, "wrong"], "failed"),
        ([None, "wrong", None], "failed (1 of 3)"),
    ],
)
def test_a_cell_sums_up_its_cases(errors: list[str | None], cell: str) -> None:
    results = tuple(Result("chat", str(number), error) for number, error in enumerate(errors))
    assert table.cell(Report(CLIENT, results), "chat") == cell


def test_what_is_not_installed_shows_in_every_cell() -> None:
    absent = Report(CLIENT, not_installed="no such package")
    assert {table.cell(absent, feature) for feature in FEATURES} == {"not installed"}
    assert list(table.reasons(absent)) == ["  not installed: no such package"]


def test_an_endpoint_that_should_be_there_is_a_surprise() -> None:
    assert not table.is_expected(CLIENT, Result("chat", "create", NOT_THERE))


def test_a_case_that_told_nothing_has_failed() -> None:
    printed = "\n".join(
        ["a client's own line", json.dumps({"plan": [["chat", "one"], ["chat", "two"]]}),
         json.dumps({"feature": "chat", "case": "one", "error": None})]
    )  # fmt: skip
    found = list(running.results(printed, "it was killed after 9 s"))
    assert found == [Result("chat", "one", None), Result("chat", "two", "no result: it was killed after 9 s")]


def test_a_client_that_does_not_start_has_failed() -> None:
    (found,) = running.results("", "it ended with exit code 1")
    assert found.error == "it ended with exit code 1"


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.folder)
def test_locks_name_no_address_and_hold_what_is_asked_for(client: running.Client) -> None:
    lock = (client.path / ("package-lock.json" if client.in_node else "requirements.txt")).read_text()
    assert '"resolved"' not in lock
    assert client.in_node or "://" not in lock
    for name, version in client.versions.items():
        pin = f'"{name}": "{version}"' if client.in_node else f"{name.partition('[')[0]}=={version}"
        assert pin in lock

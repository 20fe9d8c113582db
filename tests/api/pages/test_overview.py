"""The first page reads the sums of its time once, and an open one not at every look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import requests

from app.api.pages import overview, stream
from app.services import Services
from tests.support.rounds import run_round
from tests.support.served import served
from tests.support.system import System

#: ms; a page that is older than what streams share
LONG_AGO = 946_684_800_000


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, str]]:
    """What the timeline was asked for."""
    made: list[Mapping[str, str]] = []
    ask = overview.timeline_json

    def counted(services: Services, given: Mapping[str, str]) -> dict[str, Any]:
        made.append(given)
        return ask(services, given)

    monkeypatch.setattr(overview, "timeline_json", counted)
    return made


def test_a_page_reads_its_time_once(system: System, reads: list[Mapping[str, str]]) -> None:
    run_round(system)
    with served(system) as url:
        assert requests.get(f"{url}/", timeout=30).ok
    assert len(reads) == 1


def test_an_open_page_does_not_read_at_every_look(
    system: System, reads: list[Mapping[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "LOOK_S", 0.01)
    monkeypatch.setattr(stream, "BEAT_S", 0.0)
    run_round(system)
    with (
        served(system) as url,
        requests.get(f"{url}/live/overview?since={LONG_AGO}", stream=True, timeout=30) as answer,
    ):
        looks = 0
        for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
            looks += line == "event: alive"
            if looks == 5:
                break
    assert len(reads) == 1

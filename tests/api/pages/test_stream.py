"""The event stream of a page: each row once, again when it has changed, and an end for who is signed out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import takewhile

import pytest
import requests

from app.api.pages import stream
from app.benchmark import benchmark
from tests.api.pages.test_sign_in import ADMIN, READER, api, locked, sign_in  # noqa: F401  # locked is a fixture
from tests.support.rounds import run_round
from tests.support.served import served
from tests.support.system import System


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LOOK_S", 0.01)
    monkeypatch.setattr(stream, "TICK_S", 0.01)
    monkeypatch.setattr(stream, "BEAT_S", 0.0)


def events(url: str, page: str = "overview") -> Iterator[tuple[str, dict[str, str]]]:
    with requests.get(f"{url}/live/{page}", stream=True, timeout=30) as answer:
        assert answer.status_code == 200, answer.text
        name = ""
        for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


def test_a_row_comes_once_and_again_when_it_has_changed(system: System) -> None:
    run_round(system)
    with served(system) as url:
        coming = events(url)
        beats = 0
        rows: Counter[str] = Counter()
        for name, data in coming:
            rows[data.get("id", "")] += name == "row"
            beats += name == "alive"
            if beats == 20:
                break
        assert {row for row, count in rows.items() if count > 1} == set()
        assert {"sentence", "attention", "changes", "place-1", "place-4"} <= set(rows)
        requests.post(f"{url}/api/v1/system/runtime-config", json={"explorationRate": 0.3}, timeout=20)
        again = next(data for name, data in coming if name == "row" and data["id"] == "changes")
        assert "explorationRate" in again["html"]


def test_where_nothing_changes_a_minute_costs_little(system: System) -> None:
    """Twenty beats are more than a minute of them: 15."""
    with served(system) as url:
        coming = events(url)
        next(data for name, data in coming if name == "alive")
        quiet = [json.dumps(data) for _, data in zip(range(20), (data for _, data in coming), strict=False)]
        assert sum(map(len, quiet)) < 5000


def test_a_page_without_rows_has_no_stream(system: System) -> None:
    with served(system) as url:
        assert requests.get(f"{url}/live/nothing", timeout=20).status_code == 404


@pytest.mark.parametrize(
    "path", ["/live/health", "/api/v1/system/runtime-config/events", "/api/v1/system/benchmarks/{round}/events"]
)
def test_a_stream_ends_with_the_key_it_was_opened_by(locked: System, path: str) -> None:  # noqa: F811  # the fixture, by its name
    round_id = benchmark.start_round(locked.services)
    as_admin = {"Authorization": f"Bearer {ADMIN}"}
    with served(locked) as url:
        wanted = {"name": "ann", "scopes": ["read"]}
        made = requests.post(f"{url}/api/v1/system/keys", json=wanted, headers=as_admin, timeout=20).json()["data"]
        mine = {"Authorization": f"Bearer {made['key']}"}
        with requests.get(url + path.format(round=round_id), headers=mine, stream=True, timeout=30) as answer:
            lines = answer.iter_lines(chunk_size=1, decode_unicode=True)
            assert next(lines).startswith("retry")
            gone = requests.delete(f"{url}/api/v1/system/keys/{made['id']}", json={}, headers=as_admin, timeout=20)
            assert gone.ok
            assert list(lines) is not None  # to its end, which comes by itself


def test_a_signed_out_session_hears_nothing_more(locked: System) -> None:  # noqa: F811  # the fixture, by its name
    with api(locked) as client:
        sign_in(client, READER)
        cookie = client.get_cookie("tooloo_session")
        assert cookie is not None
        answer = client.get("/live/health", buffered=False)
        parts = (part.decode() if isinstance(part, bytes) else part for part in answer.response)
        list(takewhile(lambda part: "event: alive" not in part, parts))
        token = client.get("/health").get_data(as_text=True).partition('data-csrf="')[2].partition('"')[0]
        client.post("/sign-out", data={"csrf": token})
        assert any("event: gone" in part for part in parts)
        answer.close()

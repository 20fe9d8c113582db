"""The files of the page: what they are, and that nothing else is given out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from app import bootstrap
from app.api import create_app
from app.api.web import POLICY
from tests.support.system import System

#: of uPlot 1.6.31's dist folder, as npm has it
PUBLISHED = {
    "uplot.js": "2d27e8ad3d228164525ce213f9dc716f39b4e3aee0cc773fb3491c96cf4921a2",
    "uplot.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}


@pytest.fixture
def client(system: System) -> Iterator[FlaskClient]:
    running = bootstrap.start(system.services, seed=1)
    yield create_app(running).test_client()
    running.stop()


def test_the_charts_library_is_the_one_that_its_author_published(client: FlaskClient) -> None:
    for name, digest in PUBLISHED.items():
        with client.get(f"/web/{name}") as found:
            assert hashlib.sha256(found.data).hexdigest() == digest
            assert found.headers["Content-Security-Policy"] == POLICY


@pytest.mark.parametrize(
    "path", ["/web/../auth.py", "/web/%2e%2e/templates/base.html", "/web/base.html", "/web/nothing.js"]
)
def test_nothing_but_files_of_the_page_is_given_out(client: FlaskClient, path: str) -> None:
    with client.get(path) as found:
        assert found.status_code == 404


def test_a_failure_on_a_page_is_a_page_with_the_next_step(client: FlaskClient) -> None:
    for path, status, said in (("/?range=9y", 400, "range must be one of"), ("/rounds/none", 404, "there is no round")):
        answer = client.get(path)
        assert (answer.status_code, answer.mimetype) == (status, "text/html")
        assert said in answer.get_data(as_text=True)


def test_an_estimate_starts_nothing_and_a_second_round_is_refused_while_one_runs(client: FlaskClient) -> None:
    path = "/api/v1/system/benchmarks"
    told = client.get(f"{path}/estimate?provider=gemini&prompt=simple-qa").get_json()["data"]
    assert (told["probes"], told["running"]) == (1, None)
    started = client.post(path, json={}).get_json()["data"]["roundId"]
    assert client.get(f"{path}/estimate").get_json()["data"]["running"] == started
    refused = client.post(path, json={})
    assert (refused.status_code, refused.get_json()["error"]["field"]) == (409, "beside")
    assert client.post(path, json={"beside": True}).status_code == 202


def test_a_preview_says_whose_order_moves_and_changes_nothing(client: FlaskClient) -> None:
    path = "/api/v1/system/runtime-config"
    before = client.get(path).get_json()["data"]["version"]
    told = client.post(f"{path}/preview", json={"providers": {"deepseek": {"enabled": False}}}).get_json()["data"]
    assert told["changes"] == [{"path": "providers.deepseek.enabled", "from": True, "to": False}]
    assert all(each["moves"] for each in told["orders"])
    assert client.post(f"{path}/preview", json={"explorationRate": 7}).status_code == 400
    assert client.get(path).get_json()["data"]["version"] == before

"""History, going back, whole documents and the change stream, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from app import bootstrap
from app.api import create_app
from app.live import live_config
from tests.support.served import served
from tests.support.system import System, build
from tests.support.waiting import wait_until

CONFIG = "/api/v1/system/runtime-config"


@pytest.fixture
def client(system: System) -> Iterator[FlaskClient]:
    running = bootstrap.start(system.services, seed=1)
    yield create_app(running).test_client()
    running.stop()


def changed(client: FlaskClient, **change: object) -> dict[str, Any]:
    response = client.post(CONFIG, json=change)
    assert response.status_code == 200, response.text
    return dict(response.get_json()["data"])


def test_history_says_who_changed_what_and_why(client: FlaskClient) -> None:
    changed(client, explorationRate=0.2, reason="new models", updatedBy="anna")
    changed(client, pins={"weights": True})

    newest, middle, first = client.get(f"{CONFIG}/history").get_json()["data"]["revisions"]

    assert (newest["version"], newest["author"], newest["changes"]) == (
        3,
        "api",
        [{"path": "pins.weights", "from": False, "to": True}],
    )
    assert (middle["parent"], middle["author"], middle["reason"]) == (1, "anna", "new models")
    assert middle["changes"][0] == {"path": "global.explorationRate", "from": 0.1, "to": 0.2}
    assert (first["version"], first["author"], first["changes"]) == (1, "system-init", [])


def test_history_comes_in_pages(client: FlaskClient) -> None:
    for rate in (0.2, 0.3, 0.4):
        changed(client, explorationRate=rate)

    page = client.get(f"{CONFIG}/history?limit=2&before=4").get_json()["data"]["revisions"]

    assert [revision["version"] for revision in page] == [3, 2]


def test_one_version_is_shown_whole(client: FlaskClient) -> None:
    document = changed(client, explorationRate=0.2)
    changed(client, explorationRate=0.3)

    shown = client.get(f"{CONFIG}/history/2").get_json()["data"]

    assert shown["document"] == document


def test_two_versions_are_compared(client: FlaskClient) -> None:
    changed(client, explorationRate=0.2)
    changed(client, updateFrequency=5000)

    both = client.get(f"{CONFIG}/diff?from=1").get_json()["data"]
    one = client.get(f"{CONFIG}/diff?from=2&to=3").get_json()["data"]

    assert {change["path"] for change in both["changes"]} >= {"global.explorationRate", "global.updateFrequency"}
    assert [change["path"] for change in one["changes"]] == ["global.updateFrequency"]


def test_a_rollback_is_a_new_revision_and_can_be_rolled_back(client: FlaskClient) -> None:
    changed(client, explorationRate=0.2)

    back = client.post(f"{CONFIG}/rollback", json={"version": 1, "updatedBy": "anna"}).get_json()["data"]
    forth = client.post(f"{CONFIG}/rollback", json={"version": 2}).get_json()["data"]

    assert (back["version"], back["global"]["explorationRate"], back["metadata"]["optimizedBy"]) == ("3", 0.1, "anna")
    assert (forth["version"], forth["global"]["explorationRate"]) == ("4", 0.2)
    newest = client.get(f"{CONFIG}/history?limit=1").get_json()["data"]["revisions"][0]
    assert newest["reason"] == "rolled back to version 2"


def test_an_export_is_a_file_that_import_takes(client: FlaskClient) -> None:
    changed(client, explorationRate=0.2, segments={"pro": {"weights": {"latency": 1}}})
    exported = client.get(f"{CONFIG}/export")
    client.post(f"{CONFIG}/reset", json={})

    imported = client.post(f"{CONFIG}/import", json={"document": json.loads(exported.text)}).get_json()["data"]

    assert "runtime-config-2.json" in exported.headers["Content-Disposition"]
    assert imported["version"] == "4"
    ignored = {"version", "timestamp", "metadata"}
    assert {k: v for k, v in imported.items() if k not in ignored} == {
        k: v for k, v in json.loads(exported.text).items() if k not in ignored
    }


def test_the_snapshot_file_can_be_imported(client: FlaskClient, system: System) -> None:
    file = system.services.settings.snapshot_file
    changed(client, explorationRate=0.2)
    wait_until(lambda: file.exists() and json.loads(file.read_text())["version"] == "2")
    client.post(f"{CONFIG}/reset", json={})

    response = client.post(f"{CONFIG}/import", json={"document": json.loads(file.read_text())})

    assert response.get_json()["data"]["global"]["explorationRate"] == 0.2


@pytest.mark.parametrize("path", ["rollback", "import", "reset"])
def test_changes_of_the_whole_document_honour_if_match(client: FlaskClient, path: str) -> None:
    changed(client, explorationRate=0.2)
    body = {"rollback": {"version": 1}, "import": {"document": {}}, "reset": {}}[path]

    stale = client.post(f"{CONFIG}/{path}", json=body, headers={"If-Match": '"1"'})
    fresh = client.post(f"{CONFIG}/{path}", json=body, headers={"If-Match": '"2"'})

    assert (stale.status_code, fresh.status_code) == (412, 200)
    assert fresh.headers["ETag"] == '"3"'


#: method, path, body → status, field
REFUSED: list[tuple[str, str, object, int, str]] = [
    ("POST", "rollback", {"version": 99}, 404, "version"),
    ("POST", "rollback", {"version": "one"}, 400, "version"),
    ("POST", "rollback", {"version": True}, 400, "version"),
    ("POST", "rollback", {"version": 1, "surprise": 1}, 400, "surprise"),
    ("POST", "import", {}, 400, "document"),
    ("POST", "import", {"document": {"features": {"smartRouting": "maybe"}}}, 400, "document.features.smartRouting"),
    ("POST", "reset", {"weights": {}}, 400, "weights"),
    ("GET", "history/99", None, 404, "version"),
    ("GET", "history/x", None, 400, "version"),
    ("GET", f"history/{'9' * 19}", None, 400, "version"),
    ("GET", "history?limit=101", None, 400, "limit"),
    ("GET", "history?before=-1", None, 400, "before"),
    ("GET", "diff", None, 400, "from"),
    ("GET", "diff?from=1&to=99", None, 404, "version"),
    ("GET", "events?lastEventId=x", None, 400, "Last-Event-ID"),
]


def test_a_wrong_question_about_history_is_refused_by_the_name_of_its_field(client: FlaskClient) -> None:
    for method, path, body, status, field in REFUSED:
        response = client.open(f"{CONFIG}/{path}", method=method, json=body)

        assert (response.status_code, response.get_json()["error"].get("field")) == (status, field), path


class Events:
    """What a client of the change stream hears."""

    def __init__(self, url: str, last_seen: int | None = None) -> None:
        headers = {} if last_seen is None else {"Last-Event-ID": str(last_seen)}
        self.response = requests.get(f"{url}{CONFIG}/events", headers=headers, stream=True, timeout=10)
        assert self.response.status_code == 200
        self._lines = self.response.iter_lines(chunk_size=1, decode_unicode=True)

    def next(self) -> dict[str, Any]:
        event: dict[str, Any] = {}
        for line in self._lines:
            name, _, value = line.partition(": ")
            if name == "data":
                event |= json.loads(value)
            elif name == "id":
                event["id"] = int(value)
            elif not line and "id" in event:
                return event
        raise AssertionError("the stream ended")

    def close(self) -> None:
        self.response.close()


def test_the_change_stream_begins_with_the_present_and_resumes_without_a_gap(system: System) -> None:
    with served(system) as url:

        def change(rate: float) -> None:
            requests.post(f"{url}{CONFIG}", json={"explorationRate": rate, "updatedBy": "anna"}, timeout=10)

        first = Events(url)
        assert first.next()["document"]["global"]["explorationRate"] == 0.1
        change(0.2)
        told = first.next()
        assert (told["id"], told["author"]) == (2, "anna")
        assert told["changes"][0] == {"path": "global.explorationRate", "from": 0.1, "to": 0.2}
        first.close()
        for rate in (0.3, 0.4, 0.5):
            change(rate)

        again = Events(url, last_seen=2)

        heard = [again.next() for _ in range(3)]
        assert [(event["id"], event["document"]["global"]["explorationRate"]) for event in heard] == [
            (3, 0.3),
            (4, 0.4),
            (5, 0.5),
        ]
        again.close()


def test_a_process_gives_no_more_streams_than_it_has_threads_to_spare(system: System, client: FlaskClient) -> None:
    streams = [client.get(f"{CONFIG}/events") for _ in range(16)]

    refused = client.get(f"{CONFIG}/events")
    for stream in streams:
        stream.close()
    again = client.get(f"{CONFIG}/events")
    again.close()

    assert (refused.status_code, refused.get_json()["error"]["code"]) == (429, "too_many_requests")
    assert again.status_code == 200
    system.services.config.offer(99, live_config.dump(system.services.config.value))  # no listener was left behind


def test_without_postgres_history_is_a_503_and_the_stream_goes_on(redis_url: str, tmp_path: Path) -> None:
    system = build(f"postgresql+psycopg2://postgres@/nothing?host={tmp_path}", redis_url, tmp_path)
    with served(system) as url:
        stream = Events(url)
        assert stream.next()["id"] == 0
        newer = system.services.config.value.model_copy(update={"version": "7"})
        live_config.publish(system.services.redis, newer)

        assert stream.next()["document"]["version"] == "7"
        from_the_start = Events(url, last_seen=0)
        assert from_the_start.next()["id"] == 7
        from_the_start.close()
        assert requests.get(f"{url}{CONFIG}/history", timeout=10).status_code == 503
        assert requests.post(f"{url}{CONFIG}/rollback", json={"version": 1}, timeout=10).status_code == 503
        assert requests.get(f"{url}{CONFIG}/export", timeout=10).status_code == 200
        stream.close()
    system.close()

"""ETag, 304 and gzip, for documents in JSON that are read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from app import bootstrap
from app.api import create_app
from tests.support.system import System

LARGE = "/openapi.json"


@pytest.fixture
def client(system: System) -> Iterator[FlaskClient]:
    running = bootstrap.start(system.services, seed=1)
    yield create_app(running).test_client()
    running.stop()


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip, deflate, br", True),
        ("GZIP", True),
        ("*", True),
        ("gzip;q=0.5", True),
        ("gzip;q=0", False),
        ("*;q=0", False),
        ("identity", False),
        ("br", False),
        ("identity;q=1, gzip;q=0.5", False),
        ("", False),
    ],
)
def test_a_document_is_packed_for_who_takes_it_so(client: FlaskClient, accepted: str, packed: bool) -> None:
    plain = client.get(LARGE).get_data()
    found = client.get(LARGE, headers={"Accept-Encoding": accepted})

    assert (found.headers.get("Content-Encoding") == "gzip") is packed
    assert "Accept-Encoding" in found.headers["Vary"]
    assert int(found.headers["Content-Length"]) == len(found.get_data())
    assert (gzip.decompress(found.get_data()) if packed else found.get_data()) == plain
    if packed:
        assert len(found.get_data()) < len(plain) / 4


def test_who_has_it_already_gets_nothing(client: FlaskClient) -> None:
    first = client.get(LARGE, headers={"Accept-Encoding": "gzip"})
    tag = first.headers["ETag"]

    for asked in (tag, f'"other", {tag}', "*"):
        again = client.get(LARGE, headers={"If-None-Match": asked})
        assert (again.status_code, again.get_data()) == (304, b"")
        assert again.headers["ETag"] == tag
    assert client.get(LARGE, headers={"If-None-Match": '"other"'}).status_code == 200
    assert first.headers["Cache-Control"] == "private, no-cache"


def test_small_ones_stay_as_they_are_and_have_a_tag(client: FlaskClient) -> None:
    found = client.get("/api/v1/system/insights", headers={"Accept-Encoding": "gzip"})

    assert "Content-Encoding" not in found.headers
    assert json.loads(found.get_data())["success"]
    again = client.get("/api/v1/system/insights", headers={"If-None-Match": found.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("path", ["/metrics", "/docs", "/api/v1/nothing", "/api/v1/system/runtime-config/stream"])
def test_what_is_no_document_in_json_is_left_alone(client: FlaskClient, path: str) -> None:
    with client.get(path, headers={"Accept-Encoding": "gzip"}, buffered=False) as found:
        assert "Content-Encoding" not in found.headers
        assert not found.headers.get("ETag", "").startswith("W/")


def test_an_answer_to_a_write_has_no_tag(client: FlaskClient) -> None:
    found = client.post("/api/v1/chat", json={"message": "x"}, headers={"Accept-Encoding": "gzip"})

    assert found.status_code == 200
    assert "ETag" not in found.headers
    assert "Content-Encoding" not in found.headers

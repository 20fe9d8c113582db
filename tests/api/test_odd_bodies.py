"""Bodies that are JSON by the letter and nothing a program should send: refused by name, none is our failure."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from app import bootstrap
from app.api import create_app
from app.api.envelope import MESSAGE_LIMIT, read_json
from tests.support.system import System

CONFIG = "/api/v1/system/runtime-config"
CHAT = "/api/v1/chat"


@pytest.fixture
def client(system: System) -> Iterator[FlaskClient]:
    running = bootstrap.start(system.services, seed=1)
    yield create_app(running).test_client()
    running.stop()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        # half a surrogate pair, where it would come back in the message, be stored, or be a name
        (CONFIG, rb'{"\ud800": 1}'),
        (CONFIG, rb'{"explorationRate": 0.1, "updatedBy": "a\ud800"}'),
        (CONFIG, rb'{"explorationRate": 0.1, "reason": "a\udfff"}'),
        (CONFIG, rb'{"providers": {"a\ud800": {}}}'),
        (CONFIG, b'{"reason": "a\xed\xa0\x80", "explorationRate": 0.1}'),
        # NUL, which PostgreSQL keeps neither in a text nor in a document
        (CONFIG, rb'{"segments": {"a\u0000b": {}}}'),
        (CHAT, rb'{"message": "a", "segment": "a\u0000b"}'),
        (CHAT, rb'{"messages": [{"role": "user", "content": "a\u0000b"}]}'),
        # numbers that JSON does not have
        (CONFIG, b'{"explorationRate": NaN}'),
        (CHAT, b'{"message": "a", "temperature": -Infinity}'),
        # deeper than anybody can follow
        (CONFIG, b'{"features": ' + b"[" * 5000 + b"]" * 5000 + b"}"),
        (CHAT, b'{"message": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}"),
        # a number that Python itself refuses to read
        (CONFIG, b'{"explorationRate": ' + b"9" * 5000 + b"}"),
    ],
)
def test_an_odd_body_is_the_callers_mistake(client: FlaskClient, path: str, body: bytes) -> None:
    response = client.post(path, data=body, content_type="application/json")

    assert response.status_code == 400
    assert response.get_json()["error"]["code"] == "invalid_request"


def test_a_long_name_is_not_sent_back_whole(client: FlaskClient) -> None:
    error = client.post(CONFIG, json={"x" * 1_000_000: 1}).get_json()["error"]

    assert len(error["message"]) == MESSAGE_LIMIT
    assert len(error["field"]) == MESSAGE_LIMIT


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/system/benchmarks/a%00b", 404),
        ("/api/v1/system/insights?limit=" + "9" * 5000, 400),
        ("/api/v1/system/scorecard?segment=%00", 200),
    ],
)
def test_an_odd_address_is_the_callers_mistake(client: FlaskClient, path: str, status: int) -> None:
    assert client.get(path).status_code == status


@pytest.mark.parametrize(
    "text",
    [
        *('{"a": 1, "a": 2}', "[1.0, 1e2, 1E5, -0.0, -0]", "18446744073709551616", "-9223372036854775809", "1e400"),
        *("123456789012345678901234567890", "0.1000000000000000055511151231257827", r'"\u0000 \ud83d\ude00 é"'),
        r'["\ud800", "a\udfffb"]',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_body_is_read_as_the_standard_library_reads_it(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    assert repr(read_json(data)) == repr(json.loads(data))


@pytest.mark.parametrize("data", [b"NaN", b"[Infinity]", b"[1,]", b"01", b'{"a":1} x', b'"a\tb"', b"", b"\xff"])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(data)

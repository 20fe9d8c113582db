"""The lab under clients that misbehave, and at its end."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import requests

from tests.lab.calls import ANTHROPIC, OPENAI, raw_request
from tests.support.lab import RunningLab
from tests.support.waiting import wait_until


def in_progress(lab: RunningLab) -> int:
    return int(lab.get("/lab/requests?last=0")["providers"]["openai"]["inProgress"])


def test_a_client_that_goes_away_while_waiting_is_noticed(lab: RunningLab) -> None:
    lab.set("openai", latency=600_000)
    connection = raw_request(lab, json.dumps(dict(OPENAI.body)).encode())
    wait_until(lambda: in_progress(lab) == 1)
    connection.close()
    wait_until(lambda: in_progress(lab) == 0)
    assert lab.last()["outcome"] == "client_gone"


def test_a_client_that_goes_away_in_a_stream_is_noticed(lab: RunningLab) -> None:
    lab.set("openai", tokens_per_s=1)
    connection = raw_request(lab, json.dumps({**OPENAI.body, "stream": True}).encode())
    assert b"data: " in connection.recv(65536) + connection.recv(65536)
    connection.close()
    wait_until(lambda: in_progress(lab) == 0)
    assert lab.last()["outcome"] == "client_gone"


def test_a_client_that_goes_away_in_its_own_request_is_noticed(lab: RunningLab) -> None:
    connection = raw_request(lab, b'{"model"', length=1000)
    wait_until(lambda: in_progress(lab) == 1)
    connection.close()
    wait_until(lambda: in_progress(lab) == 0)
    assert OPENAI.call(lab).status_code == 200


def test_a_hundred_requests_at_once_are_answered(lab: RunningLab) -> None:
    lab.set("openai", latency=100)
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: OPENAI.call(lab), range(100)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 100


def test_a_connection_serves_one_call_after_the_other(lab: RunningLab) -> None:
    with requests.Session() as session:
        for _ in range(3):
            answer = session.post(
                f"{lab.url}/anthropic/{ANTHROPIC.path}",
                json=dict(ANTHROPIC.body),
                headers=dict(ANTHROPIC.headers),
                timeout=5,
            )
            assert answer.status_code == 200


@pytest.mark.parametrize(
    "garbage",
    [b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"POST /openai/chat/completions HTTP/1.1\r\nContent-Length: x\r\n\r\n"],
    ids=["octets", "half a line", "no length"],
)
def test_what_is_no_http_is_refused_and_harms_nobody(lab: RunningLab, garbage: bytes) -> None:
    address = urlsplit(lab.url)
    with socket.create_connection((address.hostname, address.port or 80), timeout=5) as connection:
        connection.sendall(garbage)
        assert connection.recv(65536).startswith(b"HTTP/1.")
    assert OPENAI.call(lab).status_code == 200

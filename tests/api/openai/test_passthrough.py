"""/v1/passthrough/PROVIDER/PATH in front of servers of the test's own: theirs as it came, and ours what is ours."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from openai import OpenAI

from tests.providers.server import Hangup, chunked, head, whole
from tests.support.blocks import Stack, stack_of

JSON = {"content-type": "application/json"}
BLOCKS = """
[one]
format = "openai"
base_url = "{one}/v1"
key_env = "ONE_KEY"
models = ["m"]
passthrough = true
[one.prices]
"m" = {{ input = 2.0, output = 4.0 }}
[one.headers]
X-Team = "blue"

[two]
format = "openai"
base_url = "{two}/v1"
models = ["m"]

[three]
format = "gemini"
base_url = "{three}"
key_env = "THREE_KEY"
models = ["g"]
passthrough = true
"""
KEYS = {"ONE_KEY": "sk-one-secret-0123456789", "THREE_KEY": "goog-secret-0123456789", "TOOLOO_LAB_URL": ""}
BEARER = {"Authorization": "Bearer mine"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack_of(tmp_path_factory.mktemp("stack"), BLOCKS, KEYS) as made:
        yield made


@pytest.fixture
def stack(shared: Stack) -> Stack:
    shared.begin_anew(lambda _: whole(200, JSON, b'{"ok": true}'))
    return shared


def ask(stack: Stack, path: str, method: str = "GET", **more: Any) -> requests.Response:
    return requests.request(
        method,
        f"{stack.url}/v1/passthrough/{path}",
        timeout=30,
        **{"headers": BEARER, "allow_redirects": False, **more},
    )


def raw(stack: Stack, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> tuple[int, bytes]:
    """As it is written, which clients would tidy up."""
    connection = http.client.HTTPConnection(urlsplit(stack.url).netloc, timeout=30)
    connection.request(method, path, headers=BEARER if headers is None else headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_the_official_sdk_works_by_its_base_url(stack: Stack) -> None:
    result = {"id": "modr-1", "model": "omni", "results": [{"flagged": True, "categories": {}, "category_scores": {}}]}
    stack.servers["one"].answer = lambda _: whole(200, JSON, json.dumps(result).encode())
    with OpenAI(base_url=f"{stack.url}/v1/passthrough/one", api_key="mine", max_retries=0) as client:
        assert client.moderations.create(input="bad").results[0].flagged

    (received,) = stack.servers["one"].received
    assert (received.method, received.path) == ("POST", "/v1/moderations")
    assert received.json == {"input": "bad"}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_method_query_body_and_status_go_through_as_they_came(stack: Stack, method: str) -> None:
    stack.servers["one"].answer = lambda _: whole(418, {"content-type": "text/tea", "x-kettle": "on"}, b"\x00\xff tea")
    body = None if method == "GET" else b"\xff\x00 any"
    answer = ask(stack, "one/a/b:c%20d?x=1&y=%2F", method, data=body)

    assert (answer.status_code, answer.content, answer.headers["x-kettle"]) == (418, b"\x00\xff tea", "on")
    assert answer.headers["content-type"] == "text/tea"
    (received,) = stack.servers["one"].received
    assert (received.method, received.path, received.body) == (method, "/v1/a/b:c%20d?x=1&y=%2F", body or b"")


def test_a_form_with_a_file_goes_through(stack: Stack) -> None:
    answer = ask(stack, "one/audio/transcriptions", "POST", files={"file": ("a.wav", b"RIFF\x00")}, data={"model": "w"})

    (received,) = stack.servers["one"].received
    assert answer.status_code == 200
    assert received.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b"RIFF\x00" in received.body


def test_keys_are_exchanged_and_headers_of_ours_stay_here(stack: Stack) -> None:
    sent = {
        "Authorization": "Bearer mine", "X-API-Key": "mine", "Api-Key": "mine", "X-Goog-Api-Key": "mine",
        "Cookie": "a=b",
        "X-Tooloo-Segment": "free", "X-Forwarded-For": "10.0.0.1", "Origin": "http://evil",
        "OpenAI-Beta": "assistants=v2",
        "Connection": "keep-alive, X-Hop", "X-Hop": "1", "TE": "trailers", "X-Team": "red",
    }  # fmt: skip
    ask(stack, "one/files", headers=sent)

    (received,) = stack.servers["one"].received
    assert received.headers["authorization"] == f"Bearer {KEYS['ONE_KEY']}"
    assert (received.headers["openai-beta"], received.headers["x-team"]) == ("assistants=v2", "blue")
    gone = {
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "cookie",
        "x-tooloo-segment",
        "x-forwarded-for",
        "origin",
        "x-hop",
        "te",
    }
    assert gone.isdisjoint(received.headers)
    assert "mine" not in json.dumps(dict(received.headers))


def test_geminis_key_is_exchanged_wherever_it_stands(stack: Stack) -> None:
    ask(stack, "three/v1beta/files?key=mine&alt=sse", headers={"X-Goog-Api-Key": "mine"})

    (received,) = stack.servers["three"].received
    assert received.path == "/v1beta/files?alt=sse"
    assert received.headers["x-goog-api-key"] == KEYS["THREE_KEY"]


def test_answers_hold_nothing_that_would_be_true_of_us(stack: Stack) -> None:
    theirs = {
        "content-type": "text/html", "set-cookie": "a=b", "access-control-allow-origin": "*",
        "strict-transport-security": "max-age=1",
        "connection": "x-hop", "x-hop": "1", "x-request-id": "req-theirs", "x-tooloo-target": "liar",
    }  # fmt: skip
    stack.servers["one"].answer = lambda _: [head(200, {**theirs, "content-length": "8"}), b"<script>"]
    answer = ask(stack, "one/files/x/content")

    gone = {"set-cookie", "access-control-allow-origin", "strict-transport-security", "x-hop"}
    assert gone.isdisjoint(name.lower() for name in answer.headers)
    assert answer.headers["x-tooloo-target"] == "one"
    assert answer.headers["x-tooloo-provider-request-id"] == "req-theirs"
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "one/../admin", "one/..", "one/.", "one/a/../../b", "one/%2e%2e/b", "one/a/%2e%2e/b", "one/a%2f..%2fb",
        "one/..;/b",
        "one/a\\..\\b", "one/a%5cb", "one/%252e%252e/b", "one/a%00b", "one/a%0d%0ab", "one/a%3fb", "one/a%23b",
        "one//evil.example/x", "one/a//b", "one/%2fevil.example", "one/http://evil.example/", "one/@evil.example//",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_base_url(stack: Stack, path: str) -> None:
    status, body = raw(stack, f"/v1/passthrough/{path}")

    assert status in (400, 404, 308), body
    assert stack.calls() == {"one": 0, "two": 0, "three": 0}


def test_what_looks_like_a_host_is_a_path(stack: Stack) -> None:
    ask(stack, "one/@evil.example:80/x")

    assert [each.path for each in stack.servers["one"].received] == ["/v1/@evil.example:80/x"]


@pytest.mark.parametrize(("provider", "status"), [("two", 403), ("nobody", 404)])
def test_only_what_is_open_is_reached(stack: Stack, provider: str, status: int) -> None:
    answer = ask(stack, f"{provider}/files")

    assert answer.status_code == status
    assert "open" in answer.json()["error"]["message"]
    assert "one, three" in answer.json()["error"]["message"]
    assert stack.calls() == {"one": 0, "two": 0, "three": 0}


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "headers", [{}, {"Content-Type": "text/plain"}, {"Authorization": "Basic bWluZTo="}, {"Authorization": "Bearer "}]
)
def test_a_web_page_cannot_drive_it(stack: Stack, method: str, headers: dict[str, str]) -> None:
    status, body = raw(stack, "/v1/passthrough/one/files", headers, method)

    assert status == 403, body
    assert stack.calls()["one"] == 0


@pytest.mark.parametrize(
    "headers", [{"X-Tooloo-Passthrough": "1"}, {"X-API-Key": "any"}, {"Content-Type": "application/json"}, BEARER]
)
def test_a_program_says_that_it_is_one(stack: Stack, headers: dict[str, str]) -> None:
    assert raw(stack, "/v1/passthrough/one/files", headers, "POST")[0] == 200


def test_a_page_of_another_host_is_refused_all_the_same(stack: Stack) -> None:
    assert raw(stack, "/v1/passthrough/one/files", {**BEARER, "Host": "evil.example"})[0] == 403


def test_no_page_is_told_that_it_may_ask(stack: Stack) -> None:
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = requests.options(f"{stack.url}/v1/passthrough/one/files", headers=asked, timeout=30)

    assert not any(name.lower().startswith("access-control-") for name in answer.headers)
    assert stack.calls()["one"] == 0


def test_a_stream_comes_piece_by_piece(stack: Stack) -> None:
    server = stack.servers["one"]
    server.answer = lambda _: chunked(server.trickle(b"data: {}\n\n", times=500))
    with ask(stack, "one/responses", "POST", json={"stream": True}, stream=True) as answer:
        first = next(answer.iter_content(None))

    assert first.startswith(b"data: {}")
    assert server.deserted.wait(10), "the provider was read on for nobody"


def test_a_body_without_a_length_that_breaks_off_is_no_whole_one(stack: Stack) -> None:
    def broken() -> Iterator[bytes]:
        yield from chunked([b"half"], end=False)
        raise Hangup

    stack.servers["one"].answer = lambda _: broken()
    with pytest.raises(requests.exceptions.RequestException):
        ask(stack, "one/audio/speech", "POST", json={})


@pytest.mark.parametrize("answer", [[head(200, {**JSON, "content-length": "99"}), b"half"], []])
def test_failures_are_errors_of_ours_and_name_no_key(stack: Stack, answer: list[bytes]) -> None:
    def broken() -> Iterator[bytes]:
        yield from answer
        raise Hangup

    stack.servers["one"].answer = lambda _: broken()
    failed = ask(stack, "one/images/generations", "POST", json={})

    assert (failed.status_code, failed.json()["error"]["code"]) == (502, "connection_lost")
    assert KEYS["ONE_KEY"] not in failed.text


def test_an_answer_without_a_body(stack: Stack) -> None:
    stack.servers["one"].answer = lambda _: [head(204, {})]
    assert (ask(stack, "one/files/x", "DELETE").status_code, ask(stack, "one/files/x", "DELETE").content) == (204, b"")
    stack.servers["one"].answer = lambda _: [head(200, {"content-length": "7"})]
    assert ask(stack, "one/files/x", "HEAD").status_code == 200

"""POST /v1/embeddings in front of servers of the test's own: who stands in for whom, and what is no answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.providers.server import whole
from tests.support.blocks import Stack, stack_of

JSON = {"content-type": "application/json"}
BLOCKS = """
[one]
format = "openai"
base_url = "{one}"
models = ["m"]
priority = 1
embeddings = ["vec", "alone"]

[two]
format = "openai"
base_url = "{two}"
priority = 2
embeddings = {{ "vec" = "maker/vec", "other" = "vec-2" }}

[three]
format = "gemini"
base_url = "{three}"
models = ["g"]
priority = 3
embeddings = ["gem"]
"""


def vectors(*values: list[float] | str, **more: Any) -> list[bytes]:
    data = [{"object": "embedding", "index": place, "embedding": each} for place, each in enumerate(values)]
    document = {"object": "list", "data": data, "usage": {"prompt_tokens": 7, "total_tokens": 7}, **more}
    return whole(200, JSON, json.dumps(document).encode())


def refused(status: int, message: str = "no") -> list[bytes]:
    return whole(status, JSON, json.dumps({"error": {"message": message}}).encode())


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack_of(tmp_path_factory.mktemp("stack"), BLOCKS) as made:
        yield made


@pytest.fixture
def stack(shared: Stack) -> Stack:
    shared.begin_anew(lambda _: vectors([0.5, 0.25]))
    return shared


def post(stack: Stack, model: str, given: Any = "hello", **more: Any) -> requests.Response:
    return stack.post("/v1/embeddings", model=model, input=given, **more)


def test_a_model_of_two_blocks_is_served_by_the_second_where_the_first_fails(stack: Stack) -> None:
    stack.servers["one"].answer = lambda _: refused(503)
    answer = post(stack, "vec")

    assert answer.status_code == 200, answer.text
    assert answer.json()["model"] == "two/maker/vec"
    assert answer.headers["x-tooloo-attempts"] == "2"
    assert stack.servers["two"].received[0].json == {"model": "maker/vec", "input": ["hello"]}


def test_the_first_by_priority_serves(stack: Stack) -> None:
    assert post(stack, "vec").json()["model"] == "one/vec"
    assert stack.calls() == {"one": 1, "two": 0, "three": 0}


@pytest.mark.parametrize("model", ["alone", "one/vec", "other", "two/vec", "gem"])
def test_another_model_never_stands_in(stack: Stack, model: str) -> None:
    for server in stack.servers.values():
        server.answer = lambda _: refused(503)
    answer = post(stack, model)

    assert answer.status_code == 502, answer.text
    named = model.partition("/")[0]
    expected = {"alone": "one", "one": "one", "other": "two", "two": "two", "gem": "three"}[named]
    assert {name for name, calls in stack.calls().items() if calls} == {expected}


@pytest.mark.parametrize(
    ("model", "target"), [("maker/vec", "one/vec"), ("two/maker/vec", "two/maker/vec"), ("vec-2", "two/vec-2")]
)
def test_what_a_provider_calls_it_names_it_too(stack: Stack, model: str, target: str) -> None:
    assert post(stack, model).json()["model"] == target


def test_an_open_breaker_is_passed(stack: Stack) -> None:
    stack.servers["one"].answer = lambda _: refused(401)
    assert post(stack, "vec").headers["x-tooloo-attempts"] == "2"
    assert post(stack, "vec").headers["x-tooloo-attempts"] == "1"
    assert stack.calls() == {"one": 1, "two": 2, "three": 0}


def test_a_refusal_is_told_in_the_providers_words(stack: Stack) -> None:
    stack.servers["one"].answer = lambda _: refused(400, "input is too sad")
    answer = post(stack, "one/vec")

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert "too sad" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "answer",
    [
        vectors(),
        vectors([0.5], [0.5]),
        vectors([]),
        vectors(["x"]),  # type: ignore[list-item]  # it is none
        vectors("not base64!"),
        vectors("AAAA"),
        vectors("AADAfw=="),
        whole(200, JSON, b'{"data": [{"embedding": [NaN]}]}'),
        whole(200, JSON, b'{"data": [{"embedding": [1e999]}]}'),
        whole(200, JSON, b'{"data": [{"index": 1, "embedding": [0.5]}]}'),
        whole(200, JSON, b"[]"),
        whole(200, JSON, b"<html>"),
        whole(200, JSON, b'{"error": {"message": "overloaded"}}'),
    ],
)
def test_what_is_no_answer_falls_over(stack: Stack, answer: list[bytes]) -> None:
    stack.servers["one"].answer = lambda _: answer
    served = post(stack, "vec")

    assert served.json()["model"] == "two/maker/vec", served.text


def test_vectors_of_another_size_than_asked_for_are_no_answer(stack: Stack) -> None:
    answer = post(stack, "one/vec", dimensions=3)

    assert answer.status_code == 502
    assert "2 dimensions" in answer.json()["error"]["message"]


def test_vectors_come_in_the_order_of_their_indexes(stack: Stack) -> None:
    data = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]
    stack.servers["one"].answer = lambda _: whole(200, JSON, json.dumps({"data": data}).encode())
    answer = post(stack, "one/vec", ["a", "b"]).json()

    assert [each["embedding"] for each in answer["data"]] == [[1.0], [2.0]]
    assert answer["tooloo"]["tokens_estimated"] is True


def test_numbers_become_base64_and_the_other_way_round(stack: Stack) -> None:
    assert post(stack, "one/vec", encoding_format="base64").json()["data"][0]["embedding"] == "AAAAPwAAgD4="
    stack.servers["one"].answer = lambda _: vectors("AAAAPwAAgD4=")
    assert post(stack, "one/vec", encoding_format="float").json()["data"][0]["embedding"] == [0.5, 0.25]


def test_an_answer_may_be_larger_than_that_of_a_chat(stack: Stack) -> None:
    large = "AAAA" * 2_250_000
    stack.servers["one"].answer = lambda _: vectors(large, large, large, large)
    answer = post(stack, "one/vec", ["a", "b", "c", "d"], encoding_format="base64")

    assert [len(each["embedding"]) for each in answer.json()["data"]] == [9_000_000] * 4


def test_gemini_is_asked_in_its_own_words(stack: Stack) -> None:
    body = b'{"embeddings": [{"values": [0.5]}, {"values": [0.25]}], "usageMetadata": {"promptTokenCount": 9}}'
    stack.servers["three"].answer = lambda _: whole(200, JSON, body)
    answer = post(stack, "gem", ["a", "b"], dimensions=1, taskType="CLUSTERING").json()

    (received,) = stack.servers["three"].received
    assert received.path == "/v1beta/models/gem:batchEmbedContents"
    same = {"model": "models/gem", "taskType": "CLUSTERING", "outputDimensionality": 1}
    texts = [{"content": {"parts": [{"text": text}]}, **same} for text in ("a", "b")]
    assert received.json == {"requests": texts}
    assert answer["usage"] == {"prompt_tokens": 9, "total_tokens": 9}


def test_such_models_are_no_targets_of_chat(stack: Stack) -> None:
    targets = {str(target) for target in stack.running.gateway.services.targets}

    assert targets == {"one/m", "three/g"}
    chat = requests.post(
        f"{stack.url}/v1/chat/completions",
        json={"model": "two", "messages": [{"role": "user", "content": "x"}]},
        timeout=30,
    )
    assert chat.status_code == 404

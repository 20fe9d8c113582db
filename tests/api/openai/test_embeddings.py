"""POST /v1/embeddings with the official `openai` SDK, over sockets, in front of the lab's OpenAI and Gemini."""

from __future__ import annotations

import base64
import struct
from typing import Any

import openai
import pytest
import requests
from openai import OpenAI

from app.lab.vectors import vector
from tests.support.front import Served

SMALL, GEMINI = "text-embedding-3-small", "gemini-embedding-001"
TEXTS = ["What is a mutex?", "Olá, größer 🦎"]


def floats(text: str) -> list[float]:
    data = base64.b64decode(text)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def post(api: Served, headers: dict[str, str] | None = None, **body: Any) -> requests.Response:
    sent = {"model": SMALL, "input": "hello", **body}
    return requests.post(f"{api.url}/v1/embeddings", json=sent, headers=headers, timeout=30)


@pytest.mark.parametrize(("model", "target"), [(SMALL, f"openai/{SMALL}"), (f"gemini/{GEMINI}", f"gemini/{GEMINI}")])
@pytest.mark.parametrize("encoding", [openai.omit, "float", "base64"])
def test_texts_become_vectors_in_their_order(client: OpenAI, model: str, target: str, encoding: Any) -> None:
    raw = client.embeddings.with_raw_response.create(model=model, input=TEXTS, encoding_format=encoding)
    answer = raw.parse()

    assert (answer.object, answer.model) == ("list", target)
    assert [(each.object, each.index) for each in answer.data] == [("embedding", 0), ("embedding", 1)]
    name = target.partition("/")[2]
    for each, text in zip(answer.data, TEXTS, strict=True):
        given: Any = each.embedding
        numbers = floats(given) if isinstance(given, str) else given
        expected = vector(name, text, len(numbers))
        assert numbers == pytest.approx(expected, abs=1e-6)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
    assert (raw.headers["x-tooloo-target"], raw.headers["x-tooloo-attempts"]) == (target, "1")
    assert float(raw.headers["x-tooloo-cost-usd"]) > 0
    assert raw.http_response.json()["tooloo"]["simulated"] is True


def test_the_encoding_is_the_one_that_was_asked_for(api: Served, client: OpenAI) -> None:
    for model in (SMALL, GEMINI):
        numbers = post(api, model=model).json()["data"][0]["embedding"]
        text = post(api, model=model, encoding_format="base64").json()["data"][0]["embedding"]
        assert floats(text) == pytest.approx(numbers, abs=1e-6)


@pytest.mark.parametrize("model", [SMALL, GEMINI])
def test_vectors_have_the_dimensions_that_were_asked_for(client: OpenAI, model: str) -> None:
    answer = client.embeddings.create(model=model, input="hello", dimensions=256)

    assert len(answer.data[0].embedding) == 256


@pytest.mark.parametrize("tokens", [[9906, 1917], [[9906], [1917, 0]]])
def test_tokens_go_to_who_counts_in_them(api: Served, client: OpenAI, tokens: Any) -> None:
    answer = client.embeddings.create(model=SMALL, input=tokens)
    assert len(answer.data) == (2 if isinstance(tokens[0], list) else 1)
    assert answer.usage.prompt_tokens == (3 if isinstance(tokens[0], list) else 2)

    with pytest.raises(openai.BadRequestError, match="texts, not tokens"):
        client.embeddings.create(model=GEMINI, input=tokens)
    assert api.lab.refused() == []


@pytest.mark.parametrize("model", ["auto", "auto:code", "openai"])
def test_what_names_no_model_is_refused_with_those_there_are(client: OpenAI, model: str) -> None:
    with pytest.raises(openai.BadRequestError, match=f"gemini/{GEMINI}, openai/{SMALL}") as caught:
        client.embeddings.create(model=model, input="hello")

    assert caught.value.param == "model"


@pytest.mark.parametrize("model", ["gpt-4.1-mini", "openai/gpt-4.1-mini", "gemini/text-embedding-3-small", "nobody/x"])
def test_a_model_that_nobody_has_for_this_is_unknown(client: OpenAI, model: str) -> None:
    with pytest.raises(openai.NotFoundError, match=f"openai/{SMALL}"):
        client.embeddings.create(model=model, input="hello")


def test_a_chat_with_such_a_model_is_told_where_it_is(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="POST /v1/embeddings"):
        client.chat.completions.create(model=SMALL, messages=[{"role": "user", "content": "hi"}])


def test_they_are_listed_beside_the_others(client: OpenAI) -> None:
    listed = {model.id for model in client.models.list()}

    assert {f"openai/{SMALL}", f"gemini/{GEMINI}", "openai/gpt-4.1-mini", "auto"} <= listed
    assert client.models.retrieve(f"openai/{SMALL}").owned_by == "openai"
    assert client.models.retrieve(SMALL).id == SMALL


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"input": []}, "input"),
        ({"input": None}, "input"),
        ({"input": {"text": "x"}}, "input"),
        ({"input": ["a", 1]}, "input.1"),
        ({"input": [1, "a"]}, "input"),
        ({"input": [[1], []]}, "input.1"),
        ({"input": [[1], [-1]]}, "input.1"),
        ({"input": [True]}, "input"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"dimensions": 0}, "dimensions"),
        ({"model": 3}, "model"),
        ({"user": 3}, "user"),
    ],
)
def test_a_wrong_field_is_named(api: Served, client: OpenAI, body: dict[str, Any], field: str) -> None:
    answer = post(api, **body)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field), answer.text


def test_unknown_fields_are_passed_left_out_or_refused(api: Served, client: OpenAI) -> None:
    passed = post(api, model=GEMINI, taskType="RETRIEVAL_QUERY", top_k=3)
    assert passed.headers["x-tooloo-dropped-parameters"] == "top_k"
    assert api.lab.last()["parameters"] == {"taskType": "RETRIEVAL_QUERY"}

    left_out = post(api, {"X-Tooloo-Parameters": "drop"}, model=GEMINI, task_type="RETRIEVAL_QUERY")
    assert left_out.headers["x-tooloo-dropped-parameters"] == "task_type"
    assert api.lab.last()["parameters"] == {}

    strict = post(api, {"X-Tooloo-Parameters": "strict"}, task_type="x")
    assert (strict.status_code, strict.json()["error"]["param"]) == (400, "task_type")


def test_the_user_goes_to_who_knows_one(api: Served, client: OpenAI) -> None:
    assert "x-tooloo-dropped-parameters" not in post(api, user="anna").headers
    assert api.lab.last()["parameters"]["user"] == "anna"
    assert post(api, model=GEMINI, user="anna").headers["x-tooloo-dropped-parameters"] == "user"


def test_nothing_is_added_to_what_was_sent(api: Served, client: OpenAI) -> None:
    post(api)

    assert api.lab.last()["parameters"] == {"model": SMALL}


@pytest.mark.parametrize("text", ["a\x00b", "half \ud83d"])
def test_odd_texts_are_taken(api: Served, client: OpenAI, text: str) -> None:
    assert post(api, input=[text]).status_code == 200


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("rate_limited", 429),
        ("server_error", 502),
        ("bad_key", 502),
        ("empty", 502),
        ("cut", 502),
        ("error_inside", 502),
    ],
)
def test_a_failure_is_told_and_chat_knows_nothing_of_it(api: Served, client: OpenAI, kind: str, status: int) -> None:
    api.lab.set("openai", error_rate=1, error_kind=kind)

    assert post(api).status_code == status
    breakers = api.running.gateway.breakers.value
    assert {target.model for target in breakers} <= {SMALL}


def test_the_path_is_known_without_its_version(api: Served, client: OpenAI) -> None:
    answer = requests.post(f"{api.url}/embeddings", json={"model": SMALL, "input": "x"}, timeout=30)

    assert answer.status_code == 200

"""POST /v1/completions with the official `openai` SDK: to who takes a prompt as it is, and to who can but chat."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from app.domain.catalog import Provider, WireFormat
from app.providers.base import ChatRequest, Completion, Endpoint, Message
from app.providers.wire import openai as openai_wire
from tests.providers.server import Received, chunked, whole
from tests.support.blocks import Stack, stack_of
from tests.support.front import PROVIDERS
from tests.support.lab import SENTENCE

JSON = {"content-type": "application/json"}
BLOCKS = """
[one]
format = "openai"
base_url = "{one}/v1"
models = ["chatty"]
priority = 1

[two]
format = "openai"
base_url = "{two}/v1"
models = ["local"]
completions = ["old-instruct"]
priority = 2
capabilities = {{ completions = true, fim = true }}

[three]
format = "anthropic"
base_url = "{three}"
models = ["claude-haiku-4-5"]
priority = 3
"""


def completed(*texts: str) -> list[bytes]:
    choices = [
        {"text": text, "index": place, "finish_reason": "stop", "logprobs": None} for place, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    document = {"id": "cmpl-1", "object": "text_completion", "model": "local", "choices": choices, "usage": usage}
    return whole(200, JSON, json.dumps(document).encode())


def chatted(text: str) -> list[bytes]:
    choices = [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]
    return whole(200, JSON, json.dumps({"choices": choices}).encode())


def answering(request: Received) -> Any:
    return chatted("chat") if request.path.endswith("/chat/completions") else completed("middle")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack_of(tmp_path_factory.mktemp("stack"), BLOCKS) as made:
        yield made


@pytest.fixture
def stack(shared: Stack) -> Stack:
    shared.begin_anew(answering)
    return shared


@pytest.fixture
def sdk(stack: Stack) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{stack.url}/v1", api_key="any", max_retries=0, timeout=30) as made:
        yield made


@pytest.mark.parametrize("model", ["auto", *PROVIDERS])
def test_a_plain_prompt_is_a_users_message_to_who_chats(client: OpenAI, model: str) -> None:
    raw = client.completions.with_raw_response.create(model=model, prompt="What is a mutex?", max_tokens=500)
    answer = raw.parse()

    assert (answer.object, answer.id[:5]) == ("text_completion", "cmpl-")
    assert [(each.index, each.text, each.finish_reason) for each in answer.choices] == [(0, SENTENCE, "stop")]
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0
    assert raw.headers["x-tooloo-target"] == answer.model


@pytest.mark.parametrize("model", PROVIDERS)
def test_a_stream_gives_the_same_text_piece_by_piece(client: OpenAI, model: str) -> None:
    options: Any = {"include_usage": True}
    with client.completions.create(model=model, prompt="What?", stream=True, stream_options=options) as stream:
        chunks = list(stream)

    assert {chunk.object for chunk in chunks} == {"text_completion"}
    pieces = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(piece.text for piece in pieces) == SENTENCE
    assert [piece.finish_reason for piece in pieces if piece.finish_reason] == ["stop"]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


def test_what_a_chat_has_no_word_for_is_named(client: OpenAI) -> None:
    raw = client.completions.with_raw_response.create(
        model="anthropic", prompt="x", echo=True, logprobs=2, best_of=1, extra_body={"top_k": 4}
    )

    assert set(raw.headers["x-tooloo-dropped-parameters"].split(",")) == {"echo", "logprobs", "best_of", "top_k"}


def test_the_body_goes_as_it_came_to_who_completes(stack: Stack, sdk: OpenAI) -> None:
    asked: dict[str, Any] = {
        "prompt": "def fib(a):",
        "suffix": "return 1",
        "max_tokens": 9,
        "echo": False,
        "best_of": 2,
    }
    answer = sdk.completions.create(model="two", **asked, stop="\n", logprobs=1, user="anna", extra_body={"min_p": 0.1})

    assert answer.choices[0].text == "middle"
    (received,) = stack.servers["two"].received
    assert received.path == "/v1/completions"
    assert received.json == {"model": "local", **asked, "stop": ["\n"], "logprobs": 1, "min_p": 0.1}


@pytest.mark.parametrize("given", [{"suffix": "}"}, {"prompt": ["a", "b"]}, {"prompt": [1, 2]}, {"prompt": [[1], [2]]}])
def test_what_cannot_be_chatted_goes_past_those_who_only_chat(stack: Stack, sdk: OpenAI, given: Any) -> None:
    stack.servers["two"].answer = lambda _: completed("a", "b")
    answer = sdk.completions.create(**{"model": "auto", "prompt": "x", **given})

    assert answer.model == "two/local"
    assert stack.calls() == {"one": 0, "two": 1, "three": 0}
    several = isinstance(given.get("prompt"), list) and not isinstance(given["prompt"][0], int)
    assert [each.text for each in answer.choices] == (["a", "b"] if several else ["a"])


@pytest.mark.parametrize("model", ["one", "three"])
def test_a_suffix_without_anybody_who_fills_in_is_refused(stack: Stack, sdk: OpenAI, model: str) -> None:
    with pytest.raises(openai.BadRequestError, match="takes no suffix") as caught:
        sdk.completions.create(model=model, prompt="x", suffix="y")

    assert caught.value.code == "unsupported"
    assert stack.calls() == {"one": 0, "two": 0, "three": 0}


def test_a_plain_prompt_falls_over_from_who_completes_to_who_chats(stack: Stack, sdk: OpenAI) -> None:
    stack.servers["one"].answer = lambda _: whole(503, JSON, b"{}")
    stack.servers["two"].answer = lambda _: whole(503, JSON, b"{}")
    claude = {"content": [{"type": "text", "text": "claude"}], "stop_reason": "end_turn", "usage": {}}
    stack.servers["three"].answer = lambda _: whole(200, JSON, json.dumps(claude).encode())

    assert sdk.completions.create(model="auto", prompt="x").choices[0].text == "claude"


def test_a_model_that_does_not_chat_is_asked_by_its_name_alone(stack: Stack, sdk: OpenAI) -> None:
    for name in ("old-instruct", "two/old-instruct"):
        assert sdk.completions.create(model=name, prompt="x").model == "two/old-instruct"
    with pytest.raises(openai.NotFoundError):
        sdk.chat.completions.create(model="old-instruct", messages=[{"role": "user", "content": "x"}])
    assert "two/old-instruct" in {model.id for model in sdk.models.list()}
    assert "two/old-instruct" not in {str(target) for target in stack.running.gateway.services.targets}


def test_a_streamed_completion_and_its_log_probabilities(stack: Stack, sdk: OpenAI) -> None:
    told = {"tokens": ["mid"], "token_logprobs": [-0.1], "top_logprobs": [{"mid": -0.1}], "text_offset": [0]}
    pieces = [
        {"choices": [{"index": 0, "text": "mid", "logprobs": told}]},
        {"choices": [{"index": 0, "text": "dle", "finish_reason": "length"}]},
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
    ]
    sent = [f"data: {json.dumps(each)}\n\n".encode() for each in pieces]
    stack.servers["two"].answer = lambda _: chunked([*sent, b"data: [DONE]\n\n"])
    chunks = list(sdk.completions.create(model="two", prompt="x", stream=True, logprobs=1))

    choices = [chunk.choices[0] for chunk in chunks]
    assert [(each.text, each.finish_reason) for each in choices] == [("mid", None), ("dle", None), ("", "length")]
    assert choices[0].logprobs is not None
    assert choices[0].logprobs.tokens == ["mid"]


@pytest.mark.parametrize(("text", "finish"), [("", "stop"), ("\n", "length"), ("  ", "stop")])
def test_blanks_and_nothing_are_how_a_prompt_may_go_on(stack: Stack, sdk: OpenAI, text: str, finish: str) -> None:
    body = {"choices": [{"index": 0, "text": text, "finish_reason": finish}]}
    stack.servers["two"].answer = lambda _: whole(200, JSON, json.dumps(body).encode())
    choice = sdk.completions.create(model="two", prompt="x", max_tokens=1).choices[0]

    assert (choice.text, choice.finish_reason) == (text, finish)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"prompt": []}, "prompt"),
        ({"prompt": {"a": 1}}, "prompt"),
        ({"prompt": ["a", 2]}, "prompt.1"),
        ({"suffix": 3}, "suffix"),
        ({"n": 0}, "n"),
        ({"n": 3, "best_of": 2}, "best_of"),
        ({"logprobs": True}, "logprobs"),
        ({"model": None}, "model"),
    ],
)
def test_a_wrong_field_is_named(stack: Stack, body: dict[str, Any], field: str) -> None:
    answer = stack.post("/v1/completions", **{"model": "auto", "prompt": "x", **body})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field), answer.text


@pytest.mark.parametrize(
    ("host", "model", "path", "dropped", "seed"),
    [
        ("api.deepseek.com", "deepseek-chat", "/beta/completions", {"n", "seed", "best_of"}, None),
        ("api.deepseek.com", "deepseek-v4-pro", "/beta/completions", {"n", "seed", "best_of"}, None),
        ("api.mistral.ai", "codestral-latest", "/v1/fim/completions", {"n", "best_of", "echo"}, "random_seed"),
        ("api.openai.com", "gpt-3.5-turbo-instruct", "/v1/completions", set(), "seed"),
    ],
)
def test_each_vendor_is_asked_where_and_what_it_takes(
    host: str, model: str, path: str, dropped: set[str], seed: str | None
) -> None:
    endpoint = Endpoint(Provider("any", WireFormat.OPENAI, f"https://{host}/v1", None, (model,)), "key")
    asked = Completion("a", "b", echo=True, best_of=3)
    request = ChatRequest((Message("user", "a"),), n=2, seed=5, completion=asked)
    outgoing = openai_wire.build(endpoint, model, request, False)
    body = json.loads(outgoing.body)

    assert (outgoing.url, set(outgoing.dropped)) == (f"https://{host}{path}", dropped)
    assert (body["prompt"], body["suffix"], body["model"]) == ("a", "b", model)
    assert seed is None or body[seed] == 5


def test_mistrals_answer_has_the_shape_of_a_chat(stack: Stack, sdk: OpenAI) -> None:
    stack.servers["two"].answer = lambda _: chatted("between")

    assert sdk.completions.create(model="two", prompt="a", suffix="b").choices[0].text == "between"

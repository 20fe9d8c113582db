"""What reaches a provider of a request to /v1: what the caller sent, and nothing else."""

from __future__ import annotations

from typing import Any

import openai
import pytest
import requests
from openai import OpenAI

from tests.support.front import PROVIDERS, Served

ASK: list[Any] = [{"role": "user", "content": "Write a python function that reverses a list"}]
#: what says nothing of how to answer; Claude demands a limit
ALWAYS = {"model", "stream", "stream_options", "include_usage"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", PROVIDERS)
def test_no_parameter_is_added_and_none_is_named_as_dropped(
    client: OpenAI, api: Served, model: str, stream: bool
) -> None:
    raw = client.chat.completions.with_raw_response.create(model=model, messages=ASK, stream=stream)

    sent = api.lab.last()["parameters"]
    assert set(sent) - ALWAYS <= ({"max_tokens"} if model == "anthropic" else set())
    assert sent.get("max_tokens") in (None, 64_000)
    assert "x-tooloo-dropped-parameters" not in raw.headers


def test_defaults_go_to_v1_where_they_are_switched_on_and_give_way_to_the_caller(client: OpenAI, api: Served) -> None:
    api.configure(features={"v1ModelDefaults": True})

    raw = client.chat.completions.with_raw_response.create(model="anthropic", messages=ASK, top_p=0.4)
    assert api.lab.last()["parameters"]["max_tokens"] == 2048
    # Claude takes one of the two: the caller's
    assert (api.lab.last()["parameters"].get("temperature"), api.lab.last()["parameters"]["top_p"]) == (None, 0.4)
    assert "x-tooloo-dropped-parameters" not in raw.headers

    api.configure(modelConfig={"maxTokens": None, "temperature": None}, taskModelConfig={"code": None})
    client.chat.completions.create(model="openai", messages=ASK)
    assert not {"max_tokens", "temperature"} & set(api.lab.last()["parameters"])
    api.configure(features={"v1ModelDefaults": False})


def test_a_limit_spent_on_reasoning_is_no_fault_of_the_provider(client: OpenAI, api: Served) -> None:
    for name in PROVIDERS:
        api.lab.set(name, reasoning_tokens=100)

    try:
        with pytest.raises(openai.BadRequestError) as failure:
            client.chat.completions.create(model="auto", messages=ASK, max_tokens=20)
    finally:
        for name in PROVIDERS:
            api.lab.set(name, reasoning_tokens=0)

    assert failure.value.code == "limit_spent"
    assert not api.running.gateway.breakers.value


@pytest.mark.parametrize("path", ["/chat/completions", "/v1/chat/completions/", "/chat/completions/"])
def test_a_path_that_is_meant_is_served(client: OpenAI, api: Served, path: str) -> None:
    answered = requests.post(f"{api.url}{path}", json={"model": "auto", "messages": ASK}, timeout=10)
    assert answered.json()["object"] == "chat.completion"
    assert requests.get(f"{api.url}/models/", timeout=10).json()["object"] == "list"


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/files"])
def test_a_form_to_a_route_that_is_not_there_is_a_404(api: Served, path: str) -> None:
    answered = requests.post(f"{api.url}{path}", files={"file": b"x"}, timeout=10)
    assert (answered.status_code, answered.json()["error"]["code"]) == (404, "not_found")


def test_claude_is_sent_cache_marks_where_they_are_switched_on(client: OpenAI, api: Served) -> None:
    """The lab's Claude caches what is marked: the second turn reads what the first one wrote."""
    history: list[Any] = [{"role": "system", "content": "Be brief. " * 2000}, *ASK]

    def cached() -> tuple[int, float]:
        answer = client.chat.completions.create(model="anthropic", messages=history)
        assert answer.usage is not None
        assert answer.usage.prompt_tokens_details is not None
        facts: Any = answer.model_extra
        return answer.usage.prompt_tokens_details.cached_tokens or 0, facts["tooloo"]["cache_saved_usd"]

    assert [cached() for _ in range(2)] == [(0, None), (0, None)]
    api.configure(features={"automaticCacheMarks": True})
    wrote, read = cached(), cached()
    api.configure(features={"automaticCacheMarks": False})

    assert wrote[0] == 0
    assert wrote[1] < 0, "writing costs more than it saves at first"
    assert read[0] > 4000
    assert read[1] > 0

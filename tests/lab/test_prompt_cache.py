"""The prompt caches of the simulated providers, as our own clients read what is told of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from app.config_files import load_providers
from app.lab.prompt_cache import Cached, PromptCache
from app.lab.refusals.rule import Kind
from app.providers.base import ChatRequest, Endpoint, Message, Usage
from app.providers.client import Client, Pool
from app.providers.conversation import Text
from tests.providers.calls import ask
from tests.support.lab import CONFIG, RunningLab

PROVIDERS = {provider.name: provider for provider in load_providers(CONFIG)}
AUTOMATIC = pytest.mark.parametrize("name", ["deepseek", "gemini", "openai"])
PLAIN_AND_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
LONG = "It has to be said again. " * 500
OPENAI_LEAST, STEP = 1024, 128


@pytest.fixture
def client() -> Iterator[Client]:
    with Pool(2) as pool:
        yield Client(pool)


def usage(client: Client, lab: RunningLab, name: str, turns: Sequence[Message], *, stream: bool = False) -> Usage:
    endpoint = Endpoint(replace(PROVIDERS[name], base_url=f"{lab.url}/{name}"), "lab")
    asked = ChatRequest(tuple(turns), max_tokens=100)
    return ask(client, endpoint, asked, stream=stream, model=PROVIDERS[name].models[0])[0].usage


def conversation(*more: Message, mark: dict[str, Any] | None = None) -> list[Message]:
    system = Message("system", (Text(LONG, mark),) if mark else LONG)
    return [system, Message("user", "Why is the sky blue?"), *more]


MORE = (Message("assistant", "It scatters."), Message("user", "Why?"))


@AUTOMATIC
@PLAIN_AND_STREAMED
def test_what_was_read_before_comes_from_the_cache(lab: RunningLab, client: Client, name: str, stream: bool) -> None:
    first = usage(client, lab, name, conversation(), stream=stream)
    second = usage(client, lab, name, conversation(*MORE), stream=stream)
    other = usage(client, lab, name, [Message("user", "Short?")], stream=stream)

    assert (first.cached, first.cache_written) == (0, 0)
    assert first.prompt * 0.8 < second.cached <= first.prompt < second.prompt
    assert (other.cached, other.cache_written) == (0, 0)


@PLAIN_AND_STREAMED
def test_claude_caches_what_is_marked_and_bills_the_writing(lab: RunningLab, client: Client, stream: bool) -> None:
    unmarked = [usage(client, lab, "anthropic", conversation(), stream=stream) for _ in range(2)]
    assert [(each.cached, each.cache_written) for each in unmarked] == [(0, 0), (0, 0)]

    mark = {"type": "ephemeral"}
    first = usage(client, lab, "anthropic", conversation(mark=mark), stream=stream)
    second = usage(client, lab, "anthropic", conversation(*MORE, mark=mark), stream=stream)
    assert (first.cached, second.cache_written, first.cache_written_hour) == (0, 0, 0)
    assert 0 < first.cache_written == second.cached < first.prompt == unmarked[0].prompt

    hour = usage(client, lab, "anthropic", conversation(*MORE, mark={**mark, "ttl": "1h"}), stream=stream)
    assert hour.cached == first.cache_written, "how long it is kept makes no other prompt of it"


def test_what_claude_keeps_for_an_hour_is_told_apart(lab: RunningLab, client: Client) -> None:
    told = usage(client, lab, "anthropic", conversation(mark={"type": "ephemeral", "ttl": "1h"}))

    assert told.cache_written == told.cache_written_hour > 0


def body(name: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": name * 20_000}]}


def test_a_cache_forgets_in_time_and_knows_its_models_apart() -> None:
    cache = PromptCache(Kind.OPENAI)
    assert cache.take("a", body("x"), 2048, 0.0).read == 0
    assert cache.take("a", body("x"), 2048, 299.0).read == 2048
    assert cache.take("b", body("x"), 2048, 300.0).read == 0
    assert cache.take("a", body("x"), 2048, 700.0).read == 0


def test_short_prompts_are_not_cached_and_long_ones_in_steps() -> None:
    cache = PromptCache(Kind.OPENAI)
    for tokens, read in ((OPENAI_LEAST - 1, 0), (OPENAI_LEAST + STEP - 1, OPENAI_LEAST)):
        cache.take("m", body(str(tokens)), tokens, 0.0)
        assert cache.take("m", body(str(tokens)), tokens, 1.0).read == read


def test_a_prompt_costs_what_the_cache_makes_of_it() -> None:
    assert Cached().billed(1000) == 1000
    assert Cached(read=800, read_share=0.25).billed(1000) == 200 + 200
    assert Cached(read=500, written=300, hour=100, read_share=0.1).billed(1000) == 200 + 50 + 200 * 1.25 + 100 * 2


def test_the_cache_saves_time_and_money(lab: RunningLab, client: Client) -> None:
    lab.set("openai", prompt_token_ms=0.02)
    usage(client, lab, "openai", conversation())
    fresh = lab.last()
    told = usage(client, lab, "openai", conversation())
    known = lab.last()

    assert known["costUsd"] < fresh["costUsd"]
    assert fresh["dueMs"] - known["dueMs"] == pytest.approx(told.cached * 0.02, abs=0.01)

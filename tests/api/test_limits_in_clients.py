"""What the official clients make of a key whose limits are reached: they wait as they are told, or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anthropic
import openai
import pytest

from app.access import keys
from app.domain.key_limits import Budget, KeyLimits
from app.domain.keys import Scope
from tests.support.front import Served, served

MESSAGES: list[Any] = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def api(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[Served]:
    with served(tmp_path, database_url, redis_url) as running:
        yield running


def secret(api: Served, limits: KeyLimits) -> str:
    services = api.running.gateway.services
    _, made = keys.create(
        services.sessions, services.redis, "a test", frozenset({Scope.CHAT}), limits=limits, created_by="a test"
    )
    services.keys.refresh(services.redis)
    return made


def thrice(ask: Callable[[], object]) -> None:
    """Of two a minute may end between."""
    for _ in range(3):
        ask()


def test_openais_client(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(openai._base_client, "time", SimpleNamespace(**{**vars(time), "sleep": waits.append}))
    limited = openai.OpenAI(
        base_url=f"{api.url}/v1", api_key=secret(api, KeyLimits(requests_per_minute=1)), max_retries=1
    )
    with pytest.raises(openai.RateLimitError) as refused:
        thrice(lambda: limited.chat.completions.create(model="auto", messages=MESSAGES))
    said = int(refused.value.response.headers["retry-after"])
    assert 1 <= said <= 60
    assert waits
    assert waits[-1] == pytest.approx(said, abs=1)
    assert refused.value.code == "rate_limit_exceeded"
    assert refused.value.response.headers["x-ratelimit-remaining-requests"] == "0"

    waits.clear()
    poor = openai.OpenAI(
        base_url=f"{api.url}/v1", api_key=secret(api, KeyLimits(budget=Budget(day_usd=1e-6))), max_retries=2
    )
    with pytest.raises(openai.RateLimitError) as spent:
        poor.chat.completions.create(model="auto", messages=MESSAGES)
    assert (spent.value.code, waits) == ("insufficient_quota", [])


def test_anthropics_client(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(anthropic._base_client, "time", SimpleNamespace(**{**vars(time), "sleep": waits.append}))
    limited = anthropic.Anthropic(
        base_url=api.url, api_key=secret(api, KeyLimits(requests_per_minute=1)), max_retries=1
    )
    with pytest.raises(anthropic.RateLimitError) as refused:
        thrice(lambda: limited.messages.create(model="auto", messages=MESSAGES, max_tokens=50))
    assert waits
    assert waits[-1] == pytest.approx(int(refused.value.response.headers["retry-after"]), abs=1)
    assert refused.value.response.headers["anthropic-ratelimit-requests-remaining"] == "0"

    waits.clear()
    poor = anthropic.Anthropic(
        base_url=api.url, api_key=secret(api, KeyLimits(budget=Budget(day_usd=1e-6))), max_retries=2
    )
    with pytest.raises(anthropic.RateLimitError, match="may spend 1e-06 USD a day"):
        poor.messages.create(model="auto", messages=MESSAGES, max_tokens=50)
    assert waits == []

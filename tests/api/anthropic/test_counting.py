"""/v1/messages/count_tokens: Claude's own count, or an estimate that says so."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest
from anthropic import Anthropic

from tests.api.anthropic.front import PIXEL
from tests.support.front import Served

ASK: list[Any] = [{"role": "user", "content": "What is a mutex? Say it in one line, please."}]
F: Any = {"name": "f", "input_schema": {"type": "object", "properties": {"a": {"type": "string"}}}}


def test_claude_counts_itself(client: Anthropic, api: Served) -> None:
    raw = client.messages.with_raw_response.count_tokens(
        model="anthropic",
        messages=ASK,
        system="Be brief.",
        tools=[F],
        tool_choice={"type": "auto"},
        thinking={"type": "enabled", "budget_tokens": 2048},
    )

    assert raw.headers["x-tooloo-token-count"] == "exact"
    assert raw.headers["x-tooloo-target"].startswith("anthropic/")
    asked = client.messages.create(model="anthropic", max_tokens=9, messages=ASK, system="Be brief.")
    assert raw.parse().input_tokens == asked.usage.input_tokens


@pytest.mark.parametrize("model", ["auto", "deepseek", "gemini", "openai"])
def test_others_are_estimated_and_that_is_said(client: Anthropic, model: str) -> None:
    raw = client.messages.with_raw_response.count_tokens(model=model, messages=ASK)

    assert raw.headers["x-tooloo-token-count"] == "estimated"
    assert raw.parse().input_tokens == -(-len(ASK[0]["content"]) // 4)


def test_tools_and_images_count(client: Anthropic) -> None:
    def count(**more: Any) -> int:
        return client.messages.count_tokens(model="gemini", **{"messages": ASK, **more}).input_tokens

    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    assert count(tools=[F]) > count()
    assert count(messages=[*ASK, {"role": "user", "content": [image]}]) > count() + 1000


def test_where_claude_does_not_count_it_is_estimated(client: Anthropic, api: Served) -> None:
    """Its refusal of a thinking budget comes from the count alone here."""
    raw = client.messages.with_raw_response.count_tokens(
        model="anthropic", messages=ASK, thinking={"type": "enabled", "budget_tokens": 5}
    )

    assert raw.headers["x-tooloo-token-count"] == "estimated"


def test_a_wrong_body_is_refused_by_name(client: Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match=r"messages\.0\.role"):
        client.messages.count_tokens(model="auto", messages=[{"role": "robot", "content": "x"}])  # type: ignore[typeddict-item]  # it is wrong


def test_nothing_is_written_down_of_a_count(client: Anthropic, api: Served) -> None:
    before = api.running.gateway.metrics.render(lambda: iter(())).decode().count("tooloo_requests_total{")
    client.messages.count_tokens(model="auto", messages=ASK)
    assert api.running.gateway.metrics.render(lambda: iter(())).decode().count("tooloo_requests_total{") == before

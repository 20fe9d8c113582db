"""What calls cost: overrides first, then the price list, and null where nothing is known."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices.data_snapshot import get_snapshot

from app.domain.catalog import Price, Provider, WireFormat
from app.providers.base import Answer, Finish, Timing, Usage
from app.providers.prices import answer_cost, cost_usd, prompt_rates, saved_usd

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
USAGE = Usage(prompt=1_000, completion=100)


def provider(name: str = "openai", **options: object) -> Provider:
    return Provider(name=name, format=WireFormat.OPENAI, base_url="http://h", key_env=None, models=("m",), **options)  # type: ignore[arg-type]  # by name


def answer(model: str, asked: str, reported: float | None = None) -> Answer:
    return Answer(
        text="Hi",
        finish=Finish.STOP,
        usage=USAGE,
        timing=Timing(0, 1, 1),
        model=model,
        asked_model=asked,
        reported_cost_usd=reported,
    )


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        # gpt-4o, USD per million: 2.50 in, 10.00 out, 1.25 from the cache
        (Usage(1_000_000, 0), 2.5),
        (Usage(0, 1_000_000), 10.0),
        (Usage(1_000_000, 0, cached=400_000), 0.6 * 2.5 + 0.4 * 1.25),
        (Usage(0, 1_000_000, reasoning=900_000), 10.0),  # reasoning is part of the completion, not on top
    ],
)
def test_price_list_is_applied(usage: Usage, dollars: float) -> None:
    assert cost_usd(provider(), "gpt-4o", usage, at=NOW) == pytest.approx(dollars)


def test_price_is_the_one_of_its_day() -> None:
    # o3 cost 10 USD per million tokens of prompt until 10 June 2025, and 2 since
    before = cost_usd(provider(), "o3", Usage(1_000_000, 0), at=datetime(2025, 6, 1, tzinfo=UTC))
    after = cost_usd(provider(), "o3", Usage(1_000_000, 0), at=NOW)
    assert before == pytest.approx(10.0)
    assert after == pytest.approx(2.0)


def test_price_of_a_long_prompt_is_its_tiers() -> None:
    google = provider("gemini", price_provider="google")
    short = cost_usd(google, "gemini-2.5-pro", Usage(200_000, 0), at=NOW)
    long = cost_usd(google, "gemini-2.5-pro", Usage(200_001, 0), at=NOW)
    assert short == pytest.approx(200_000 * 1.25e-6)
    assert long == pytest.approx(200_001 * 2.5e-6)  # the tier holds for all tokens


def test_tokens_written_for_an_hour_cost_more() -> None:
    """claude-haiku-4-5, USD per million: 1 in, 1.25 written, 2 written for an hour, 0.10 read."""
    usage = Usage(4_000_000, 0, cached=10**6, cache_written=2 * 10**6, cache_written_hour=10**6)

    assert cost_usd(provider("anthropic"), "claude-haiku-4-5", usage, at=NOW) == pytest.approx(1 + 0.1 + 1.25 + 2)


def test_an_override_may_price_the_cache() -> None:
    own = dataclasses.replace(
        provider("openai"), prices=(("own", Price(input=2.0, output=4.0, cached=0.5, cache_written=3.0)),)
    )
    usage = Usage(3_000_000, 10**6, cached=10**6, cache_written=10**6)

    assert cost_usd(own, "own", usage, at=NOW) == pytest.approx(2 + 0.5 + 3 + 4)
    assert prompt_rates(own, "own", 1000, NOW) == (pytest.approx(2e-6), pytest.approx(0.5e-6))


@pytest.mark.parametrize(
    ("name", "model", "usage", "saved"),
    [
        ("openai", "gpt-4o", Usage(10**6, 10, cached=400_000), 0.4 * 1.25),
        ("anthropic", "claude-haiku-4-5", Usage(10**6, 10, cached=500_000, cache_written=500_000), 0.5 * 0.9 - 0.125),
        ("google", "gemini-2.5-flash", Usage(10**6, 10, cached=10**6), 0.27),
        ("deepseek", "deepseek-chat", Usage(10**6, 10, cached=10**6), 0.2),
        ("openai", "nobody-knows", Usage(10, 10, cached=5), None),
    ],
)
def test_what_a_cache_saves_is_what_the_same_would_have_cost_more(
    name: str, model: str, usage: Usage, saved: float | None
) -> None:
    gave = dataclasses.replace(answer(model, model), usage=usage)

    assert saved_usd(provider(name), gave, NOW) == (None if saved is None else pytest.approx(saved))


def test_tokens_written_to_a_cache_have_their_own_price() -> None:
    cost = cost_usd(
        provider("anthropic"), "claude-haiku-4-5", Usage(3_000_000, 0, cached=10**6, cache_written=10**6), at=NOW
    )
    assert cost == pytest.approx(1.0 + 0.1 + 1.25)


def test_override_comes_before_the_list() -> None:
    mine = provider(prices=(("gpt-4o", Price(input=1.0, output=2.0)),))
    assert cost_usd(mine, "gpt-4o", USAGE, at=NOW) == pytest.approx(1_000e-6 + 200e-6)
    assert cost_usd(mine, "gpt-4o", USAGE, at=NOW, answered_model="gpt-4o-2024-08-06") == pytest.approx(1_200e-6)
    assert cost_usd(mine, "gpt-4o-mini", USAGE, at=NOW) == cost_usd(provider(), "gpt-4o-mini", USAGE, at=NOW)


def test_override_of_zero_is_a_price_and_not_an_unknown_one() -> None:
    mine = provider("ollama", prices=(("llama3.2", Price(0, 0)),))
    assert cost_usd(mine, "llama3.2", USAGE, at=NOW) == 0.0


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("openai", "no-such-model"),
        ("no-such-provider", "gpt-4o"),
        ("ollama", "llama3.2"),
        ("google", "gemma-3"),  # in the list, without a price
        ("openai", "gpt-transcribe"),  # in the list, with a price per hour
        ("openai", ""),
        ("", "gpt-4o"),
    ],
)
def test_unknown_price_is_none_and_never_zero(name: str, model: str) -> None:
    assert cost_usd(provider(name), model, USAGE, at=NOW) is None


def test_model_that_answered_is_the_one_that_is_billed() -> None:
    deepseek = provider("deepseek")
    both = cost_usd(deepseek, "deepseek-chat", USAGE, at=NOW, answered_model="deepseek-v4-flash")
    assert both == cost_usd(deepseek, "deepseek-v4-flash", USAGE, at=NOW)
    assert both != cost_usd(deepseek, "deepseek-chat", USAGE, at=NOW)
    unknown = cost_usd(deepseek, "deepseek-chat", USAGE, at=NOW, answered_model="no-such-model")
    assert unknown == cost_usd(deepseek, "deepseek-chat", USAGE, at=NOW)


def test_cost_an_upstream_states_comes_first() -> None:
    assert answer_cost(provider(), answer("gpt-4o", "gpt-4o", reported=0.5), NOW) == 0.5
    assert answer_cost(provider(), answer("gpt-4o", "gpt-4o", reported=0.0), NOW) == 0.0
    listed = answer_cost(provider(), answer("gpt-4o-2024-08-06", "gpt-4o"), NOW)
    assert listed == cost_usd(provider(), "gpt-4o", USAGE, at=NOW)
    mine = provider(prices=(("gpt-4o", Price(input=1.0, output=2.0)),))
    assert answer_cost(mine, answer("gpt-4o-2024-08-06", "gpt-4o"), NOW) == pytest.approx(1_200e-6)


def test_whole_price_list_costs_what_the_library_says() -> None:
    usages = [Usage(1_000, 100), Usage(300_000, 5_000, reasoning=4_000, cached=1_000, cache_written=2_000), Usage(0, 0)]
    wrong = []
    compared = 0
    for listed in get_snapshot().providers:
        mine = provider("any", price_provider=listed.id)
        for model in listed.models:
            for usage in usages:
                ours = cost_usd(mine, model.id, usage, at=NOW)
                if ours is None:
                    continue
                theirs = _theirs(listed.id, model.id, usage)
                compared += 1
                if float(theirs) != pytest.approx(ours, rel=1e-9, abs=1e-15):
                    wrong.append((listed.id, model.id, usage, ours, theirs))
    assert wrong == []
    assert compared > 3_000


def _theirs(name: str, model: str, usage: Usage) -> Decimal:
    found, info = get_snapshot().find_provider_model(model, None, name, None)
    units = {
        "input_tokens": usage.prompt,
        "output_tokens": usage.completion,
        "cache_read_tokens": usage.cached,
        "cache_write_tokens": usage.cache_written,
        "output_reasoning_tokens": usage.reasoning,
    }
    return info.calc_price(TheirUsage(**units), found, genai_request_timestamp=NOW).total_price


def test_streamed_and_plain_answer_cost_the_same() -> None:
    plain = answer("gpt-4o", "gpt-4o")
    streamed = dataclasses.replace(plain, timing=Timing(1, 2, 3))
    assert answer_cost(provider(), plain, NOW) == answer_cost(provider(), streamed, NOW)

from __future__ import annotations

from typing import Any

import pytest

from app.errors import InvalidRequest
from app.lab import profiles
from app.lab.faults import Fault
from app.lab.prompt_cache import NOTHING

STANDARD = profiles.named("standard", ("deepseek", "gemini", "anthropic", "openai", "mistral"))


@pytest.mark.parametrize(
    ("provider", "latency_ms", "error_rate", "input_price", "output_price", "quality"),
    [
        ("deepseek", 240, 0.02, 0.27, 1.10, 0.86),
        ("gemini", 350, 0.04, 0.30, 2.50, 0.88),
        ("anthropic", 450, 0.01, 1.0, 5.0, 0.93),
        ("openai", 520, 0.03, 0.40, 1.60, 0.91),
    ],
)
def test_the_standard_profile_has_the_specifications_figures(
    provider: str, latency_ms: float, error_rate: float, input_price: float, output_price: float, quality: float
) -> None:
    profile = STANDARD[provider]
    assert (profile.latency, profile.error_rate) == (latency_ms, error_rate)
    assert (profile.input_price, profile.output_price, profile.quality) == (input_price, output_price, quality)
    assert (profile.sigma, profile.tokens_per_s, profile.fail_latency) == (0.12, 5000, 120)
    assert profile.error_kind is Fault.SERVER_ERROR


def test_a_provider_without_figures_of_its_own_has_the_common_ones() -> None:
    assert STANDARD["mistral"].latency == 300


def test_the_realistic_profile_takes_as_long_as_real_apis_do() -> None:
    for profile in profiles.named("realistic", ("deepseek", "gemini", "anthropic", "openai")).values():
        assert 500 <= profile.latency <= 900
        assert 60 <= profile.tokens_per_s <= 150


def test_a_profile_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(InvalidRequest, match="standard, realistic"):
        profiles.named("fantastic", ("openai",))


def test_one_figure_changes_and_the_others_stay() -> None:
    changed = profiles.changed(STANDARD["openai"], {"latency": 450, "error_kind": "cut"})
    assert (changed.latency, changed.error_kind, changed.quality) == (450, Fault.CUT, 0.91)


def test_quality_may_differ_by_prompt_and_be_made_equal_again() -> None:
    changed = profiles.changed(STANDARD["openai"], {"prompt_quality": {"maths": 0.1, "poem": 0.2}}, ("maths", "poem"))
    again = profiles.changed(changed, {"prompt_quality": {"maths": None}}, ("maths", "poem"))
    assert [changed.quality_of(name) for name in ("maths", "poem", "other", None)] == [0.1, 0.2, 0.91, 0.91]
    assert again.prompt_quality == {"poem": 0.2}


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"latency": -1}, "latency", "greater than or equal to 0"),
        ({"latency": "450"}, "latency", "valid number"),
        ({"latency": True}, "latency", "valid number"),
        ({"latency": None}, "latency", "valid number"),
        ({"latency": float("inf")}, "latency", "finite"),
        ({"error_rate": 1.1}, "error_rate", "less than or equal to 1"),
        ({"tokens_per_s": 0}, "tokens_per_s", "greater than or equal to 1"),
        ({"error_kind": "broken"}, "error_kind", "'server_error', 'rate_limited'"),
        ({"latencyy": 1}, "latencyy", "it has: latency, sigma"),
        ({"prompt_quality": 1}, "prompt_quality", "object"),
        ({"prompt_quality": {"maths": 2}}, "prompt_quality.maths", "less than or equal to 1"),
        ({"prompt_quality": {"math": 1}}, "prompt_quality.math", "there are: maths"),
    ],
)
def test_a_wrong_figure_is_refused_by_name_and_reason(changes: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=field) as refused:
        profiles.changed(STANDARD["openai"], changes, ("maths",))
    assert refused.value.field == field
    assert reason in str(refused.value)


def test_cost_is_tokens_times_price() -> None:
    assert STANDARD["gemini"].cost_usd(1000, 200, NOTHING) == pytest.approx(0.0003 + 0.0005)

"""What a call costs, in USD: the override in providers.toml, else the price list of genai-prices; unknown is None.

genai-prices computes in decimals over every unit it knows (images, seconds, searches), at 100 µs per call. Calls of
ours have text tokens only, so their few rates are read out of its list once and kept; tests/providers/test_prices.py
holds the result against the library's own, model by model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ConditionalPrice, ModelPrice, StartDateConstraint, TieredPrices, TimeOfDateConstraint

from app.domain.catalog import Price, Provider
from app.providers.base import Answer, Usage

MTOK = 1_000_000
#: read at import, because it takes half a second that no request should wait for
LIST = get_snapshot()

#: (USD per token, prompt tokens above which it holds), the highest threshold first
Rate = tuple[tuple[float, int], ...]
FREE: Rate = ((0.0, -1),)


@dataclass(frozen=True, slots=True)
class Rates:
    """One row of the price list; what has no rate of its own is billed at the rate of what it is part of."""

    prompt: Rate
    #: None: nothing comes out, as from a model for embeddings
    completion: Rate | None
    cached: Rate | None
    cache_written: Rate | None
    #: … to be kept for an hour instead of some minutes
    cache_written_hour: Rate | None
    reasoning: Rate | None
    #: USD per call
    request_usd: float

    def cost_usd(self, usage: Usage) -> float | None:
        """Tokens of a kind that has its own rate are taken out of the count they are part of; None: one has no rate."""
        if self.completion is None and usage.completion:
            return None
        size = usage.prompt
        prompt, completion, cost = usage.prompt, usage.completion, self.request_usd
        hour = usage.cache_written_hour if self.cache_written_hour is not None else 0
        parts = (
            (usage.cached, self.cached),
            (usage.cache_written - hour, self.cache_written),
            (hour, self.cache_written_hour),
        )
        for tokens, rate in parts:
            if rate is not None:
                cost += tokens * _at(rate, size)
                prompt -= tokens
        if self.reasoning is not None:
            cost += usage.reasoning * _at(self.reasoning, size)
            completion -= usage.reasoning
        return cost + max(0, prompt) * _at(self.prompt, size) + max(0, completion) * _at(self.completion or FREE, size)


Constraint = StartDateConstraint | TimeOfDateConstraint | None


def cost_usd(
    provider: Provider, model: str, usage: Usage, *, at: datetime, answered_model: str | None = None
) -> float | None:
    """USD of a call made `at` (aware), or None where no price is known: never a guess, never 0 for "unknown".

    An override for the model asked for comes first; then the price list under the model that answered, which is the
    one that is billed, and under the one asked for.
    """
    names = (answered_model, model) if answered_model and answered_model != model else (model,)
    rates = _rates_of(provider, names, at)
    return None if rates is None else rates.cost_usd(usage)


def prompt_rates(provider: Provider, model: str, tokens: int, at: datetime) -> tuple[float, float] | None:
    """USD per token of a prompt of that size: of one that is in no cache, and of one that is."""
    rates = _rates_of(provider, (model,), at)
    if rates is None:
        return None
    full = _at(rates.prompt, tokens)
    return full, full if rates.cached is None else _at(rates.cached, tokens)


def saved_usd(provider: Provider, answer: Answer, at: datetime) -> float | None:
    """What the provider's cache made of a call's cost: positive where it was cheaper. None: no price is known."""
    asked = answer.asked_model or answer.model
    rates = _rates_of(provider, (answer.model, asked), at)
    if rates is None:
        return None
    plain = replace(answer.usage, cached=0, cache_written=0, cache_written_hour=0)
    without, with_it = rates.cost_usd(plain), rates.cost_usd(answer.usage)
    return None if without is None or with_it is None else without - with_it


def _rates_of(provider: Provider, names: Sequence[str], at: datetime) -> Rates | None:
    """`names`: of the model as it answered, and as it was asked for."""
    overrides = dict(provider.prices) if provider.prices else {}
    for name in reversed(names):
        if (price := overrides.get(name)) is not None:
            return _stated(price)
    for name in names:
        if (rates := _rates(provider.price_provider or provider.name, name, at)) is not None:
            return rates
    return None


@lru_cache(maxsize=256)
def _stated(price: Price) -> Rates:
    return Rates(
        prompt=_flat(price.input),
        completion=_flat(price.output),
        cached=None if price.cached is None else _flat(price.cached),
        cache_written=None if price.cache_written is None else _flat(price.cache_written),
        cache_written_hour=None,
        reasoning=None,
        request_usd=0.0,
    )


def _flat(per_mtok: float) -> Rate:
    return ((per_mtok / MTOK, -1),)


def answer_cost(provider: Provider, answer: Answer, at: datetime) -> float | None:
    """USD of the call that gave `answer`; what the upstream itself stated (Provider.cost_header) comes first."""
    if answer.reported_cost_usd is not None:
        return answer.reported_cost_usd
    return cost_usd(provider, answer.asked_model or answer.model, answer.usage, at=at, answered_model=answer.model)


def _rates(provider: str, model: str, at: datetime) -> Rates | None:
    """The row that holds at a moment: the last whose condition is met, else the first."""
    rows = _listed(provider, model)
    for constraint, rates in reversed(rows):
        if constraint is None or constraint.active(at):
            return rates
    return rows[0][1] if rows else None


@lru_cache(maxsize=4096)
def _listed(provider: str, model: str) -> tuple[tuple[Constraint, Rates | None], ...]:
    try:
        _, info = LIST.find_provider_model(model, None, provider, None)
    except LookupError:
        return ()
    rows = [ConditionalPrice(prices=info.prices)] if isinstance(info.prices, ModelPrice) else info.prices
    return tuple((row.constraint, _row(row.prices)) for row in rows)


def _row(price: ModelPrice) -> Rates | None:
    """None where the list has no price for text: a model that is billed by the second, or not at all."""
    prompt, completion = _rate(price.input_mtok), _rate(price.output_mtok)
    if prompt is None:
        return None
    return Rates(
        prompt=prompt,
        completion=completion,
        cached=_rate(price.cache_read_mtok),
        cache_written=_rate(price.cache_write_mtok),
        cache_written_hour=_rate(price.cache_write_1h_mtok),
        reasoning=_rate(price.output_reasoning_mtok),
        request_usd=_at(_rate(price.requests_kcount, per=1_000) or FREE, 0),
    )


def _rate(price: Decimal | TieredPrices | None, per: int = MTOK) -> Rate | None:
    if price is None:
        return None
    if not isinstance(price, TieredPrices):
        return ((float(price) / per, -1),)
    tiers = tuple((float(tier.price) / per, tier.start) for tier in reversed(price.tiers))
    return (*tiers, (float(price.base) / per, -1))


def _at(rate: Rate, prompt_tokens: int) -> float:
    """The price per token for a prompt of that size: a tier holds for all tokens once it is crossed."""
    return next(price for price, above in rate if prompt_tokens > above)

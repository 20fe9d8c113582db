"""What `tooloo doctor` looks at: each look gives findings, and each finding that is not good names its fix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from enum import StrEnum
from urllib.parse import urlsplit

from app.domain.catalog import Provider
from app.errors import (
    BadKey,
    ConfigError,
    ConnectionLost,
    LocalFailure,
    ModelUnknown,
    OutOfCredit,
    ProviderError,
    RateLimited,
    Timeout,
    UnusableAnswer,
)
from app.live_config import utc_now
from app.providers.base import ChatRequest, Endpoint, Message, Usage
from app.providers.client import Client
from app.providers.models import Models, models
from app.providers.prices import answer_cost, cost_usd
from app.settings import Settings

LOOK_MS = 10_000
#: s; a Date header has whole seconds, and the way back takes some too
CLOCK_TOLERANCE_S = 5.0
#: a call that costs a fraction of a cent, with room for a model that thinks first
TINY = ChatRequest(messages=(Message("user", "Answer with the one word: ready"),), max_tokens=512)
#: names of models that are suggested
SUGGESTED = 3


class State(StrEnum):
    OK = "ok"
    NOTE = "note"  # worth knowing: left out, not told, simulated
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    subject: str
    check: str
    state: State
    detail: str
    #: what to do about it; empty where there is nothing to do
    fix: str = ""


def examine(
    client: Client,
    settings: Settings,
    providers: Sequence[Provider],
    endpoints: Mapping[str, Endpoint],
    *,
    call: bool,
) -> Iterator[Finding]:
    """Every provider at once, told in their order; those without an endpoint cannot be called."""

    def look(provider: Provider) -> list[Finding]:
        mine = [_key(settings, provider), *_prices(provider)]
        endpoint = endpoints.get(provider.name)
        return mine if endpoint is None else [*mine, *_called_up(client, endpoint, call=call)]

    with ThreadPoolExecutor(max_workers=max(1, len(providers))) as looks:
        for findings in looks.map(look, providers):
            yield from findings


def _called_up(client: Client, endpoint: Endpoint, *, call: bool) -> Iterator[Finding]:
    name = endpoint.provider.name
    try:
        told = models(client.pool, endpoint, timeout_ms=LOOK_MS)
    except ProviderError as error:
        yield from _not_told(endpoint, error)
        if isinstance(error, ConnectionLost | LocalFailure | Timeout | BadKey):
            return
    else:
        yield Finding(name, "reachable", State.OK, _host(endpoint))
        yield from _models(endpoint, told)
        yield _clock(endpoint, told, utc_now())
    if call:
        for model in endpoint.provider.models:
            yield _called(client, endpoint, model)


def _key(settings: Settings, provider: Provider) -> Finding:
    if provider.simulated:
        return Finding(provider.name, "key", State.NOTE, "simulated by the lab, no key is sent")
    if provider.key_env is None:
        return Finding(provider.name, "key", State.OK, "needs none")
    try:
        value = settings.provider_key(provider.key_env)
    except ConfigError as error:
        return Finding(provider.name, "key", State.FAIL, str(error), f"correct {provider.key_env}")
    if value is None:
        fix = f"set {provider.key_env} in the environment or in .env to use this provider"
        return Finding(provider.name, "key", State.NOTE, f"{provider.key_env} is not set: left out", fix)
    return Finding(provider.name, "key", State.OK, f"{provider.key_env} is set ({len(value)} characters)")


def _prices(provider: Provider) -> Iterator[Finding]:
    for model in provider.models:
        known = cost_usd(provider, model, Usage(prompt=1000, completion=1000), at=utc_now())
        if known is not None:
            detail = f"{model}: ${known:.6f} per 1,000 tokens in and 1,000 out"
            yield Finding(provider.name, "price", State.OK, detail)
        elif provider.cost_header:
            detail = f"{model}: stated with each answer, in {provider.cost_header}"
            yield Finding(provider.name, "price", State.OK, detail)
        else:
            fix = f'in config/providers.toml: [{provider.name}.prices."{model}"] input = … output = … (USD per million)'
            yield Finding(provider.name, "price", State.FAIL, f"{model}: unknown, its cost is shown as unknown", fix)


def _not_told(endpoint: Endpoint, error: ProviderError) -> Iterator[Finding]:
    """The models were not told; whether that is a failure, and of what, is in the error."""
    name, host = endpoint.provider.name, _host(endpoint)
    match error:
        case LocalFailure():
            fix = "look at this machine's network, DNS and proxy"
            yield Finding(name, "reachable", State.FAIL, f"{host}: {error}", fix)
        case ConnectionLost() | Timeout():
            fix = f"is base_url of [{name}] in config/providers.toml right, and does a server run there?"
            yield Finding(name, "reachable", State.FAIL, f"{host}: {error}", fix)
        case BadKey():
            yield Finding(name, "reachable", State.OK, host)
            fix = f"make a new key with the provider and put it into {endpoint.provider.key_env}"
            yield Finding(name, "key", State.FAIL, f"refused: {error}", fix)
        case _:
            yield Finding(name, "reachable", State.OK, host)
            detail = f"not told: the list of models answers {_status(error)}"
            yield Finding(name, "model", State.NOTE, detail, "tooloo doctor --call asks the models themselves")


def _status(error: ProviderError) -> str:
    return f"HTTP {error.status_code}" if error.status_code else f"{error.code}: {error}"


def _models(endpoint: Endpoint, told: Models) -> Iterator[Finding]:
    name = endpoint.provider.name
    for model in endpoint.provider.models:
        if told.holds(model):
            yield Finding(name, "model", State.OK, model)
            continue
        near = get_close_matches(model, told.names, n=SUGGESTED, cutoff=0.4) or list(told.names[:SUGGESTED])
        has = f"; it has {', '.join(near)}" if near else ""
        fix = f"correct models of [{name}] in config/providers.toml"
        yield Finding(name, "model", State.FAIL, f"{model}: the provider does not list it{has}", fix)


def _clock(endpoint: Endpoint, told: Models, now: datetime) -> Finding:
    name = endpoint.provider.name
    if told.its_time is None:
        return Finding(name, "clock", State.NOTE, "the provider does not tell its time")
    ahead_s = (now - told.its_time).total_seconds()
    if abs(ahead_s) <= CLOCK_TOLERANCE_S:
        return Finding(name, "clock", State.OK, f"within {CLOCK_TOLERANCE_S:.0f} s of the provider's")
    side = "ahead of" if ahead_s > 0 else "behind"
    detail = f"this machine is {abs(ahead_s):.0f} s {side} the provider"
    return Finding(name, "clock", State.FAIL, detail, "let NTP set this machine's clock")


def _called(client: Client, endpoint: Endpoint, model: str) -> Finding:
    provider = endpoint.provider
    try:
        answer = client.complete(endpoint, model, TINY, timeout_ms=provider.timeout_ms)
    except ProviderError as error:
        return Finding(provider.name, "call", State.FAIL, f"{model}: {error.code}: {error}", _cure(provider, error))
    cost = answer_cost(provider, answer, utc_now())
    spent = "cost unknown" if cost is None else f"${cost:.6f}"
    tokens = f"{answer.usage.prompt}+{answer.usage.completion} tokens"
    alias = "" if answer.model == model else f", answered as {answer.model}"
    detail = f"{model}: {answer.timing.total_ms:.0f} ms, {tokens}, {spent}{alias}"
    return Finding(provider.name, "call", State.OK, detail)


def _cure(provider: Provider, error: ProviderError) -> str:
    match error:
        case BadKey():
            return f"make a new key with the provider and put it into {provider.key_env}"
        case OutOfCredit():
            return "add credit to the provider account"
        case ModelUnknown():
            return f"correct models of [{provider.name}] in config/providers.toml"
        case RateLimited():
            return "wait, or ask the provider for a higher limit"
        case Timeout():
            return f"try again; raise timeout_ms of [{provider.name}] if it is always this slow"
        case LocalFailure():
            return "look at this machine's network, DNS and proxy"
        case UnusableAnswer():
            return "try again; if it stays so, choose another model"
    return "try again; the provider's status page may know more"


def _host(endpoint: Endpoint) -> str:
    parts = urlsplit(endpoint.provider.base_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

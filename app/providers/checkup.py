"""What is wrong with one provider as it is configured here, and how to mend it. Only the call costs anything.

Each check gives one Finding: key → reachable → model → clock → price → call. What a failed check makes unknowable is
skipped, and says after which.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.catalog import Provider
from app.errors import (
    AccountProblem,
    BadKey,
    BadRequest,
    BeganDifferently,
    ConnectionLost,
    ContentFiltered,
    Hedged,
    LimitSpent,
    LocalFailure,
    ModelUnknown,
    OutOfCredit,
    Overloaded,
    ProviderError,
    RateLimited,
    ServerError,
    Timeout,
    UnusableAnswer,
)
from app.providers import prices
from app.providers.base import ChatRequest, Endpoint, Message, Usage
from app.providers.client import Client
from app.providers.listing import Listing, list_models

#: ms for the list of models, and for the call
LIST_MS, CALL_MS = 10_000, 30_000
#: s; beyond, delays given as dates and times in logs are off; certificates fail at hours
CLOCK_S = 5.0
#: enough for a model that thinks first
ASK = ChatRequest((Message("user", "Reply with the single word: ready"),), max_tokens=256)


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"  # works, and something will not be as wished
    FAILED = "failed"
    SKIPPED = "skipped"  # could not be known, or was not asked for


@dataclass(frozen=True, slots=True)
class Finding:
    subject: str
    check: str
    status: Status
    detail: str
    #: what to do; empty where there is nothing to do
    fix: str = ""


#: statuses of a server that has no list, or of an address that is not the API's
NO_LIST = (404, 405, 410, 501)
#: as OpenSSL says it
UNKNOWN_AUTHORITY = "CERTIFICATE_VERIFY_FAILED"

#: by class, nearest first; {key_env}, {name}, {base_url}
FIXES: Mapping[type[ProviderError], str] = {
    BadKey: "make a new key in the provider's console and put it into {key_env}; check that it may use this API",
    OutOfCredit: "top up the provider account, or raise its limit, in the provider's console",
    AccountProblem: "do what the message asks for (verification, access, terms) in the provider's console",
    ModelUnknown: "name a model of this provider in [{name}] models of config/providers.toml",
    ContentFiltered: "the provider filtered a harmless question: try again, and see its safety settings",
    BadRequest: "the provider refuses what is sent: check format and models of [{name}] in config/providers.toml",
    RateLimited: "wait, or lower concurrency of [{name}] in config/providers.toml",
    Overloaded: "nothing to do here: the provider is overloaded; see its status page",
    ServerError: "see the provider's status page; check base_url of [{name}] in config/providers.toml ({base_url})",
    Timeout: "check network, proxy and firewall to {base_url}; raise timeout_ms of [{name}] if it is only slow",
    ConnectionLost: "check that something listens at {base_url} (base_url of [{name}] in config/providers.toml)",
    LimitSpent: "nothing to do here: the model thinks, and a tiny answer is no room for that",
    UnusableAnswer: "check that {base_url} is the API, and format of [{name}] fits it, in config/providers.toml",
    LocalFailure: "check this machine's network, DNS and proxy; base_url of [{name}] is {base_url}",
    BeganDifferently: "nothing to do here: it was asked to go on with another provider's answer, and gave another one",
    Hedged: "nothing to do here: another provider was asked too, and answered first",
}


def fix(error: ProviderError, provider: Provider) -> str:
    if UNKNOWN_AUTHORITY in str(error):
        return f"name the authority's certificates in ca_bundle of [{table(provider.name)}], or in SSL_CERT_FILE"
    told = next((text for kind, text in FIXES.items() if isinstance(error, kind)), "")
    return told.format(key_env=provider.key_env or "the key", name=table(provider.name), base_url=provider.base_url)


def table(name: str) -> str:
    """As it stands in the file: a dot would begin a table within a table."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'


def check(client: Client, endpoint: Endpoint, *, call: bool, now: datetime) -> list[Finding]:
    """All findings on one provider that has its key. `now`, aware: which prices hold."""
    provider = endpoint.provider
    listing, findings = _listed(client, endpoint)
    reached = any(
        finding.check == "reachable" and finding.status in (Status.OK, Status.WARNING) for finding in findings
    )
    findings += _models(provider, listing)
    findings.append(_clock(provider, listing))
    findings += _prices(provider, now)
    if call:
        findings.append(_call(client, endpoint, now, reached=reached))
    return findings


def _listed(client: Client, endpoint: Endpoint) -> tuple[Listing | None, list[Finding]]:
    """The list, and what asking for it says of key and network."""
    provider = endpoint.provider
    key = "set" if provider.key_env and not provider.simulated else "none needed"
    try:
        listing = list_models(client.pool, endpoint, timeout_ms=LIST_MS)
    except ProviderError as error:
        if error.status_code is None:
            return None, [
                Finding(provider.name, "key", Status.SKIPPED, f"{key}; not tried, the provider was not reached"),
                Finding(
                    provider.name,
                    "reachable",
                    Status.FAILED,
                    f"{error.message}{_through(endpoint)}",
                    fix(error, provider),
                ),
            ]
        return None, [_refused(provider, key, error), _reached(endpoint, error)]
    accepted = "set, and the provider takes it" if key == "set" else key
    reached = Finding(provider.name, "reachable", Status.OK, f"{provider.base_url}{_through(endpoint)}")
    return listing, [Finding(provider.name, "key", Status.OK, accepted), reached]


def _refused(provider: Provider, key: str, error: ProviderError) -> Finding:
    if error.status_code == 403 and isinstance(error, BadKey):
        may = "a restricted key may answer and yet list no models: `tooloo doctor --call` tells"
        return Finding(provider.name, "key", Status.WARNING, f"{key}; refused: {error.message}", may)
    if isinstance(error, BadKey | OutOfCredit):
        return Finding(provider.name, "key", Status.FAILED, f"{key}; {error.message}", fix(error, provider))
    return Finding(provider.name, "key", Status.SKIPPED, f"{key}; the provider said nothing about it")


def _through(endpoint: Endpoint) -> str:
    """Which way it went: a proxy may be named by a variable that nobody thought of."""
    proxy = endpoint.way.proxy
    return "" if proxy is None else f" (through the proxy {proxy.place})"


def _reached(endpoint: Endpoint, error: ProviderError) -> Finding:
    provider = endpoint.provider
    detail = f"{provider.base_url}{_through(endpoint)} answered HTTP {error.status_code}"
    if error.status_code in NO_LIST:
        advice = f"check base_url of [{table(provider.name)}]; a server without a list may still chat: --call tells"
        return Finding(provider.name, "reachable", Status.WARNING, f"{detail} where models are listed", advice)
    broken = isinstance(error, ServerError | Overloaded)
    status, advice = (Status.FAILED, fix(error, provider)) if broken else (Status.OK, "")
    return Finding(provider.name, "reachable", status, f"{detail}: {error.message}" if broken else detail, advice)


def _models(provider: Provider, listing: Listing | None) -> Iterator[Finding]:
    for model in (*provider.models, *(calls for _, calls in provider.embeddings)):
        if listing is None or not listing.models:
            yield Finding(provider.name, "model", Status.SKIPPED, f"{model}: no list of models to look it up in")
        elif listing.knows(model):
            yield Finding(provider.name, "model", Status.OK, model)
        else:
            some = ", ".join(listing.models[:5])
            advice = f"change models of [{table(provider.name)}] in config/providers.toml; it has: {some}"
            advice += f", and {len(listing.models) - 5} more" if len(listing.models) > 5 else ""
            yield Finding(provider.name, "model", Status.FAILED, f"{model} is not in the provider's list", advice)


def _clock(provider: Provider, listing: Listing | None) -> Finding:
    ahead_s = listing.clock_ahead_s if listing else None
    if ahead_s is None:
        return Finding(provider.name, "clock", Status.SKIPPED, "the provider gave no time to compare with")
    if abs(ahead_s) <= CLOCK_S:
        return Finding(provider.name, "clock", Status.OK, f"within {CLOCK_S:g} s of the provider's")
    side = "ahead of" if ahead_s > 0 else "behind"
    advice = "synchronise this machine's clock: timedatectl set-ntp true"
    return Finding(provider.name, "clock", Status.FAILED, f"{abs(ahead_s):.0f} s {side} the provider's", advice)


def _prices(provider: Provider, now: datetime) -> Iterator[Finding]:
    for model in provider.models:
        if provider.cost_header:
            detail = f"{model}: stated by the provider in each answer ({provider.cost_header})"
            yield Finding(provider.name, "price", Status.OK, detail)
            continue
        sides = (Usage(prices.MTOK, 0), Usage(0, prices.MTOK))
        dear = [prices.cost_usd(provider, model, usage, at=now) for usage in sides]
        if None in dear:
            advice = f'write [{table(provider.name)}.prices."{model}"] with input and output in USD per million tokens'
            detail = f"{model}: not in the price list; its cost will show as unknown"
            yield Finding(provider.name, "price", Status.WARNING, detail, f"{advice} into config/providers.toml")
        else:
            detail = f"{model}: ${dear[0]:.4g} in, ${dear[1]:.4g} out per million tokens"
            yield Finding(provider.name, "price", Status.OK, detail)


def _call(client: Client, endpoint: Endpoint, now: datetime, *, reached: bool) -> Finding:
    provider = endpoint.provider
    if not reached:
        return Finding(provider.name, "call", Status.SKIPPED, "not tried, the provider was not reached")
    if not provider.models:
        return Finding(provider.name, "call", Status.SKIPPED, "not tried, it has no model to chat with")
    try:
        answer = client.complete(endpoint, provider.models[0], ASK, timeout_ms=min(CALL_MS, provider.timeout_ms))
    except ProviderError as error:
        return Finding(provider.name, "call", Status.FAILED, f"{error.code}: {error.message}", fix(error, provider))
    cost = prices.answer_cost(provider, answer, now)
    told = "cost unknown" if cost is None else f"${cost:.6f}"
    tokens = f"{answer.usage.prompt} + {answer.usage.completion} tokens"
    detail = f"{answer.model} answered in {answer.timing.total_ms:.0f} ms, {tokens}, {told}"
    return Finding(provider.name, "call", Status.OK, detail)

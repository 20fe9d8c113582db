"""`tooloo-trace/1`: what every provider gave, or would have given, at each step of a recorded time. JSON Lines.

1. a header: format, name, providers, latencyRefMs, costRefUsd, objective, roundIntervalS, simulated, changes;
2. rows in order of time: {"t", "round": {provider: [call, …]}} or {"t", "request": {provider: call}, "expected":
   {provider: U}}, where a call is [latency_ms, ok, cost_usd, quality, tokens], times are seconds, and U is the
   expected utility, for the scorer alone; logs of one's own have no `expected`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.domain.policy import Objective

FORMAT = "tooloo-trace/1"


class RateLimit(NamedTuple):
    """What a provider's headers say of its quota, behind the answer they came with."""

    #: requests per minute
    limit: int
    remaining: int
    #: s until all of it is there again
    reset_s: float


class Sample(NamedTuple):
    """One call. The last three fields are of simulated quotas alone: a file does not hold them."""

    latency_ms: float
    ok: bool
    cost_usd: float
    #: 0..1
    quality: float
    #: of the answer
    tokens: float
    #: refused with 429: a word on load, not on the target
    limited: bool = False
    retry_after_s: float | None = None
    quota: RateLimit | None = None


@dataclass(frozen=True, slots=True)
class Header:
    name: str
    providers: tuple[str, ...]
    objective: Objective
    round_interval_s: float
    #: scripted, not recorded in the real world
    simulated: bool
    #: indices of requests at which the best provider changes, where known
    changes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Round:
    """A benchmark round: every provider, the same prompts."""

    at_s: float
    table: Mapping[str, tuple[Sample, ...]]


@dataclass(frozen=True, slots=True)
class Request:
    """One live request: what each provider would have given."""

    at_s: float
    samples: Mapping[str, Sample]
    expected: Mapping[str, float] | None


def read(lines: Iterable[str]) -> tuple[Header, Iterator[Round | Request]]:
    """The header, and the rows as they come; raises ValueError naming the line that is wrong."""
    numbered = enumerate(lines, start=1)
    number, text = next(numbered, (1, "{}"))
    header = _header(number, text)
    return header, (_row(header, number, text) for number, text in numbered if text.strip())


def _header(number: int, text: str) -> Header:
    document = _object(number, text)
    if document.get("format") != FORMAT:
        raise ValueError(f"line {number}: format {document.get('format')!r} is not {FORMAT}")
    try:
        shares = document["objective"]
        header = Header(
            name=str(document["name"]),
            providers=tuple(map(str, document["providers"])),
            objective=Objective(
                latency=_number(shares["latency"]),
                cost=_number(shares["cost"]),
                latency_ref_ms=_number(document["latencyRefMs"]),
                cost_ref_usd=_number(document["costRefUsd"]),
            ),
            round_interval_s=_number(document["roundIntervalS"]),
            simulated=bool(document.get("simulated", True)),
            changes=tuple(map(int, document.get("changes", ()))),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"line {number}: not a header: {error!r}") from None
    if not header.providers or min(header.objective.latency_ref_ms, header.objective.cost_ref_usd) <= 0:
        raise ValueError(f"line {number}: a header names a provider, and references above 0")
    return header


def _row(header: Header, number: int, text: str) -> Round | Request:
    document = _object(number, text)
    try:
        at_s = _number(document["t"], least=-math.inf)
        if "round" in document:
            table = document["round"]
            return Round(at_s, {name: tuple(map(_sample, table[name])) for name in header.providers})
        calls, expected = document["request"], document.get("expected")
        samples = {name: _sample(calls[name]) for name in header.providers}
        utilities = None if expected is None else {name: _number(expected[name], -math.inf) for name in samples}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"line {number}: not a row of this trace: {error!r}") from None
    return Request(at_s, samples, utilities)


def _object(number: int, text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ValueError(f"line {number}: not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError(f"line {number}: not an object")  # noqa: TRY004 - a wrong line, whatever is wrong with it
    return document


def _sample(call: Any) -> Sample:
    latency_ms, ok, cost_usd, quality, tokens = call
    return Sample(_number(latency_ms), bool(ok), _number(cost_usd), _number(quality), _number(tokens))


def _number(value: Any, least: float = 0.0) -> float:
    if type(value) is float and least <= value < math.inf:  # nearly always, twenty times per row
        return value
    if not isinstance(value, int | float) or not least <= value < math.inf:
        raise ValueError(f"{value!r} is not a number of at least {least:g}")
    return float(value)

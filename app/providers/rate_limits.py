"""What a provider's headers say of the allowance that is left: OpenAI's names and those like them, Anthropic's,
Azure's, and RateLimit of the IETF (draft-ietf-httpapi-ratelimit-headers, its older and its newer form).

What is not understood is left out: a limit that was read wrongly would turn requests away that have a place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from app.domain.routing.allowance import Reading

#: beginnings of the headers that are kept of a response
HEADERS = ("x-ratelimit-", "anthropic-ratelimit-", "ratelimit", "retry-after")

_NAME = re.compile(r"(?:x-|anthropic-)?ratelimit-(.+)")
_FIGURES = {"limit", "remaining", "reset"}
_KINDS = {"requests": "requests", "request": "requests", "req": "requests", "tokens": "tokens", "token": "tokens"}
_SIDES = {"input": "input_tokens", "prompt": "input_tokens", "output": "output_tokens", "generated": "output_tokens"}
_WINDOWS_S = {"second": 1.0, "minute": 60.0, "min": 60.0, "hour": 3600.0, "day": 86_400.0, "month": 2_592_000.0}

_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
#: numbers from here on are a moment: seconds or milliseconds since 1970
_EPOCH_S, _EPOCH_MS = 1e9, 1e12


def of(headers: Mapping[str, str]) -> dict[str, str]:
    """Those of a response, as they came."""
    return {name: value for name, value in headers.items() if name.startswith(HEADERS)}


def readings(headers: Mapping[str, str], now: datetime) -> tuple[Reading, ...]:
    """`headers` with names in lower case; `now`, aware, is what moments are measured from."""
    if not headers:
        return ()
    found: dict[tuple[str, float | None], dict[str, str]] = {}
    for name, value in headers.items():
        named = _NAME.fullmatch(name)
        if named is not None and (what := _subject(named[1])) is not None:
            kind, window_s, figure = what
            found.setdefault((kind, window_s), {})[figure] = value
    read = [_reading(kind, window_s, figures, now) for (kind, window_s), figures in found.items()]
    return (*(each for each in read if each is not None), *_ietf(headers))


def _subject(words: str) -> tuple[str, float | None, str] | None:
    """Kind, window and figure of a name; None where a word of it is not known."""
    kind, window_s, figure, side = "", None, "", ""
    for word in words.split("-"):
        if word in _FIGURES and not figure:
            figure = word
        elif word in _KINDS and not kind:
            kind = _KINDS[word]
        elif word in _SIDES and not side:
            side = _SIDES[word]
        elif word in _WINDOWS_S and window_s is None:
            window_s = _WINDOWS_S[word]
        else:
            return None
    if not figure or (side and kind == "requests"):
        return None
    return side or kind or "requests", window_s, figure


def _reading(kind: str, window_s: float | None, figures: Mapping[str, str], now: datetime) -> Reading | None:
    remaining = _number(figures.get("remaining"))
    if remaining is None:
        return None
    limit_text, policy_s = _with_window(figures.get("limit", ""))
    limit, window_s = _number(limit_text), window_s or policy_s
    reset_s = _span_s(figures.get("reset", ""), now)
    return Reading(_named(kind, window_s), remaining, limit or None, reset_s, window_s)


def _named(kind: str, window_s: float | None) -> str:
    """Two limits of one kind are told apart by their windows."""
    name = next((name for name, span_s in _WINDOWS_S.items() if span_s == window_s), None)
    return kind if name in (None, "minute") else f"{kind} a {name}"


def _with_window(text: str) -> tuple[str, float | None]:
    """`100, 100;w=60`: the limit, and its window where it is told."""
    limit, _, policies = text.partition(",")
    for policy in (policies or limit).split(","):
        number, *rest = policy.split(";")
        if number.strip() == limit.partition(";")[0].strip():
            return limit.partition(";")[0], _number(_parameters(rest).get("w"))
    return limit.partition(";")[0], None


def _ietf(headers: Mapping[str, str]) -> Iterator[Reading]:
    """`"default";r=50;t=30`, with its policy `"default";q=100;w=60`; and `limit=100, remaining=50, reset=30`."""
    said = headers.get("ratelimit", "")
    if "=" not in said:
        return
    policies = dict(_items(headers.get("ratelimit-policy", "")))
    for name, parameters in _items(said):
        policy = policies.get(name, {})
        remaining = _number(parameters.get("r"))
        if remaining is not None:
            kind = "tokens" if "token" in f"{name}{policy.get('qu', '')}".lower() else "requests"
            limit, window_s = _number(policy.get("q")), _number(policy.get("w"))
            yield Reading(_named(kind, window_s), remaining, limit or None, _number(parameters.get("t")), window_s)
    older = _parameters(re.split(r"[,;]", said))
    remaining = _number(older.get("remaining"))
    if remaining is not None:
        yield Reading("requests", remaining, _number(older.get("limit")) or None, _number(older.get("reset")))


def _items(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    for item in text.split(","):
        name, *rest = item.split(";")
        yield name.strip().strip('"'), _parameters(rest)


def _parameters(parts: list[str]) -> dict[str, str]:
    pairs = (part.partition("=") for part in parts)
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _span_s(text: str, now: datetime) -> float | None:
    """`6m0s`, `20ms`, `12`, a moment in seconds or milliseconds since 1970, or 2026-01-01T00:00:00Z."""
    text = text.strip()
    number = _number(text)
    if number is not None:
        if number >= _EPOCH_MS:
            number /= 1000
        return max(0.0, number - now.timestamp()) if number >= _EPOCH_S else number
    parts = list(_SPAN.finditer(text))
    if parts and "".join(part[0] for part in parts) == text:
        return sum(float(part[1]) * _UNIT_S[part[2]] for part in parts)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return max(0.0, (moment - now).total_seconds())

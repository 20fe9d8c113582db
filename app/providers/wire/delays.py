"""How long a provider asks us to wait: by a header, by a date, in the body, or in a sentence meant for people."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

#: s; whoever asks for longer is asked again tomorrow: a wrong unit must not shut a provider out for years
LONGEST_DELAY_S = 86_400.0


def retry_after_s(headers: Mapping[str, str], said_s: float | None, now: datetime) -> float | None:
    """The delay asked for, in seconds, a day at most: header before body, the finer header before the coarser."""
    delay_s = _delay_asked_for_s(headers, said_s, now)
    return None if delay_s is None else min(delay_s, LONGEST_DELAY_S)


def _delay_asked_for_s(headers: Mapping[str, str], said_s: float | None, now: datetime) -> float | None:
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    header = headers.get("retry-after")
    if header is None:
        return said_s
    seconds = _number(header)
    return _until(header, now) if seconds is None else seconds


def _until(date: str, now: datetime) -> float | None:
    moment = moment_of(date)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def moment_of(date: str) -> datetime | None:
    """An HTTP date, aware; None for anything else."""
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError):  # the latter: a year of twenty digits
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment  # RFC 5322 "-0000"


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


_UNIT = r"(?:milliseconds?|seconds?|minutes?|hours?|ms|h|m|s)(?![a-z])"
#: "Please try again in 1m6.5s", "… in 6ms", Gemini's "Please retry in 48.9s", Azure's "Please retry after 26 seconds"
_TRY_AGAIN = re.compile(rf"(?:try again|retry) (?:in|after) ((?:\d+(?:\.\d+)? ?{_UNIT} ?)+)", re.IGNORECASE)
_SPAN = re.compile(r"(\d+(?:\.\d+)?) ?(ms|milli|h|m|s)", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "milli": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def delay_in(details: list[dict[str, Any]], message: str) -> float | None:
    """From Gemini's RetryInfo ("48s"), else from the sentence meant for people."""
    for detail in details:
        if (seconds := _span_s(detail.get("retryDelay"))) is not None:
            return seconds
    found = _TRY_AGAIN.search(message)
    return _span_s(found[1]) if found else None


def _span_s(text: object) -> float | None:
    parts = list(_SPAN.finditer(text)) if isinstance(text, str) else []
    seconds = sum(float(part[1]) * _SECONDS[part[2].lower()] for part in parts)
    return seconds if parts and math.isfinite(seconds) else None

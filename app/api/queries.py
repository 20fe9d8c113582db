"""What stands behind the ? of a URL, read strictly: each error names its parameter and says what would be right."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from app.errors import InvalidRequest

_AGE = re.compile(r"now(?:-([1-9][0-9]{0,4})(m|h|d|w))?")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
#: epoch ms of year 2000 and 2200: a time outside is seconds, or a slip
_LEAST_MS, _MOST_MS = 946_684_800_000, 7_258_118_400_000
#: characters of a name that is looked for
NAME_LIMIT = 300


class Query:
    """Parameters of one request. One without a value, as a form sends it, was not given."""

    def __init__(self, given: Mapping[str, str], known: Sequence[str]) -> None:
        for name in given:
            if name not in known:
                raise InvalidRequest(
                    f"there is no parameter {name[:NAME_LIMIT]!r}; there are: {', '.join(known)}", field=name
                )
        self._given = {name: value for name, value in given.items() if value != ""}

    def text(self, name: str) -> str | None:
        value = self._given.get(name)
        if value is not None and (len(value) > NAME_LIMIT or not value.isprintable()):
            raise InvalidRequest(f"{name} must have 1 to {NAME_LIMIT} printable characters", field=name)
        return value

    def one_of(self, name: str, values: Sequence[str]) -> str | None:
        value = self._given.get(name)
        if value is not None and value not in values:
            raise _wrong(name, f"one of {', '.join(values)}", value)
        return value

    def flag(self, name: str) -> bool | None:
        value = self.one_of(name, ("true", "false"))
        return None if value is None else value == "true"

    def count(self, name: str, default: int, most: int) -> int:
        value = self._given.get(name, str(default))
        if not (value.isascii() and value.isdigit() and len(value) <= 9 and 1 <= int(value) <= most):
            raise _wrong(name, f"a number from 1 to {most}", value)
        return int(value)

    def amount(self, name: str) -> float | None:
        value = self._given.get(name)
        if value is None:
            return None
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 <= number <= 1e9:
            raise _wrong(name, "a number from 0 on", value)
        return number

    def names(self, name: str, default: str, known: Sequence[str]) -> list[str]:
        wanted = [each.strip() for each in self._given.get(name, default).split(",") if each.strip()]
        for each in wanted:
            if each not in known:
                raise InvalidRequest(f"{name}: there is no {each!r}; there are: {', '.join(known)}", field=name)
        return list(dict.fromkeys(wanted))

    def is_summary(self) -> bool:
        return self.one_of("fields", ("summary",)) is not None

    def span(self, now: datetime, default: timedelta) -> tuple[datetime, datetime]:
        """`from` and `to`: the latest `default` where nothing is said."""
        until = self._moment("to", now) or now
        since = self._moment("from", now) or until - default
        if since >= until:
            raise InvalidRequest(f"from must lie before to: {since.isoformat()} does not", field="from")
        return since, until

    def _moment(self, name: str, now: datetime) -> datetime | None:
        value = self._given.get(name)
        if value is None:
            return None
        if (found := _read(value, now)) is None:
            example = "epoch milliseconds, a time with its zone (2026-01-31T14:00:00Z; write + as %2B), or now-24h"
            raise _wrong(name, example, value)
        return found


def _read(text: str, now: datetime) -> datetime | None:
    if text.isascii() and text.isdigit():
        ms = int(text) if len(text) <= 15 else 0
        return datetime.fromtimestamp(ms / 1000, UTC) if _LEAST_MS <= ms <= _MOST_MS else None
    if (age := _AGE.fullmatch(text)) is not None:
        return now - int(age[1]) * _UNITS[age[2]] if age[1] else now
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None and 2000 <= found.year < 2200 else None


def _wrong(name: str, right: str, got: str) -> InvalidRequest:
    return InvalidRequest(f"{name} must be {right}: got {got[:NAME_LIMIT]!r}", field=name)

"""What part of the data a page shows: it stands in the URL, so that a link shows what its sender saw."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from flask import request

from app.api.names import NAME_LIMIT
from app.domain.catalog import TaskType
from app.errors import InvalidRequest
from app.live import live_config

HOUR_MS = 3_600_000
#: name in the URL → how it is called, and its length
RANGES = {
    "1h": ("1 hour", HOUR_MS),
    "24h": ("24 hours", 24 * HOUR_MS),
    "7d": ("7 days", 7 * 24 * HOUR_MS),
    "30d": ("30 days", 30 * 24 * HOUR_MS),
    "365d": ("1 year", 365 * 24 * HOUR_MS),
}
DEFAULT = "24h"
#: parameters that go from page to page
CARRIED = ("range", "from", "to", "segment", "taskType")
#: digits of an epoch in ms, with room
_DIGITS = 14


@dataclass(frozen=True, slots=True)
class Asked:
    #: of RANGES, or "" where from and to stand in the URL
    range: str
    from_ms: int
    to_ms: int
    segment: str | None
    task_type: TaskType

    @property
    def query(self) -> str:
        """What the next page is asked with, to show the same part: "" or ?…"""
        carried = {name: request.args[name] for name in CARRIED if request.args.get(name)}
        return f"?{urlencode(carried)}" if carried else ""

    @property
    def span(self) -> str:
        """The time alone, as a link says it: it stays the same while nothing else is asked."""
        return urlencode({"range": self.range} if self.range else {"from": self.from_ms, "to": self.to_ms})


def asked() -> Asked:
    """Raises InvalidRequest naming the parameter."""
    now_ms = live_config.epoch_ms()
    name = request.args.get("range", "" if "from" in request.args else DEFAULT)
    if name and name not in RANGES:
        raise InvalidRequest(f"range must be one of {', '.join(RANGES)}: got {name[:50]!r}", field="range")
    start = now_ms - RANGES[name][1] if name else epoch_ms("from", now_ms)
    end = now_ms if name else epoch_ms("to", now_ms)
    if start >= end:
        raise InvalidRequest("from must lie before to", field="from")
    return Asked(name, start, end, _segment(), _task_type())


def page_age_s() -> float:
    """How long ago the page was made that a stream is for: what it is sent must not be older than itself."""
    now_ms = live_config.epoch_ms()
    return max(0, now_ms - epoch_ms("since", now_ms)) / 1000


def epoch_ms(name: str, default: int) -> int:
    text = request.args.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        raise InvalidRequest(f"{name} must be a time in epoch milliseconds: got {text[:50]!r}", field=name)
    return int(text)


def _segment() -> str | None:
    given = request.args.get("segment") or None
    if given is not None and len(given) > NAME_LIMIT:
        raise InvalidRequest(f"segment must have 1 to {NAME_LIMIT} characters: got {len(given)}", field="segment")
    return given


def _task_type() -> TaskType:
    text = request.args.get("taskType") or TaskType.DEFAULT.value
    try:
        return TaskType(text)
    except ValueError:
        known = ", ".join(TaskType)
        raise InvalidRequest(f"taskType must be one of {known}: got {text[:50]!r}", field="taskType") from None

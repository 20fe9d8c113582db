"""What the lab has seen and done: counters per provider, and the last requests as they stood on the wire."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic.alias_generators import to_camel

from app.lab.faults import Refused

#: requests kept in full
_RECENT = 1000
#: characters of a prompt that are kept
_PROMPT_CHARS = 500
#: latenesses kept per provider
_LATENESS = 10_000


@dataclass(slots=True)
class Seen:
    """One request, filled in as it goes on. Never holds a key."""

    number: int
    provider: str
    #: time of day
    at_ms: int
    path: str
    model: str = ""
    stream: bool = False
    #: the body's keys but for the conversation
    parameters: Mapping[str, Any] = field(default_factory=dict)
    prompt: str = ""
    #: of prompts.toml, where it is one of those
    prompt_id: str | None = None
    status: int | None = None
    #: answered, client_gone, cut, hung, or the fault that was answered
    outcome: str = "in_progress"
    #: when the last byte was due, ms from arrival
    due_ms: float | None = None
    #: how much later than that it was handed to the network
    late_ms: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    #: why the request itself was refused: rule, field and message
    refused: Mapping[str, Any] | None = None


@dataclass(slots=True)
class _Counters:
    calls: int = 0
    errors: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    in_progress: int = 0
    late_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_LATENESS))


class Journal:
    def __init__(self, providers: Iterable[str]) -> None:
        self._counters = {name: _Counters() for name in providers}
        self._recent: deque[Seen] = deque(maxlen=_RECENT)
        #: kept apart, so that none is lost among those that went well
        self._refused: deque[Seen] = deque(maxlen=_RECENT)
        self._count = 0

    def begin(self, provider: str, path: str, now_s: float) -> Seen:
        self._count += 1
        seen = Seen(number=self._count, provider=provider, at_ms=int(now_s * 1000), path=path)
        self._recent.append(seen)
        counters = self._counters[provider]
        counters.calls += 1
        counters.in_progress += 1
        return seen

    def end(self, seen: Seen) -> None:
        counters = self._counters[seen.provider]
        counters.in_progress -= 1
        counters.errors += seen.outcome != "answered"
        if seen.refused is not None:
            counters.refused += 1
            self._refused.append(seen)
        counters.prompt_tokens += seen.prompt_tokens
        counters.completion_tokens += seen.completion_tokens
        counters.cost_usd += seen.cost_usd
        if seen.late_ms is not None:
            counters.late_ms.append(seen.late_ms)

    def report(self, last: int) -> dict[str, Any]:
        """Counters, the `last` requests, and those that were wrong themselves; the newest at the end.

        Keys in camelCase; parameters as on the wire.
        """
        recent = list(self._recent)[-last:] if last else []
        return {
            "providers": {name: _summary(counters) for name, counters in self._counters.items()},
            "recent": [_keyed(seen) for seen in recent],
            "refused": [_keyed(seen) for seen in self._refused],
        }


def _summary(counters: _Counters) -> dict[str, Any]:
    late = sorted(counters.late_ms)
    return {
        "calls": counters.calls,
        "errors": counters.errors,
        "refused": counters.refused,
        "inProgress": counters.in_progress,
        "promptTokens": counters.prompt_tokens,
        "completionTokens": counters.completion_tokens,
        "costUsd": round(counters.cost_usd, 10),
        "lateMs": {"p50": _quantile(late, 0.5), "p99": _quantile(late, 0.99), "max": _quantile(late, 1.0)},
    }


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return round(ordered[int(share * (len(ordered) - 1))], 3) if ordered else None


def _keyed(seen: Seen) -> dict[str, Any]:
    values = asdict(seen)
    values["prompt"] = values["prompt"][:_PROMPT_CHARS]
    return {to_camel(name): value for name, value in values.items()}


def refusal_of(refused: Refused) -> dict[str, Any]:
    """For the journal: which rule of the table it is, or what else is wrong with the request, and where."""
    field_ = refused.field or ""
    rule = refused.why.value if refused.rule is None else refused.rule.id
    return {"rule": rule, "field": field_, "message": refused.detail.replace("{field}", field_)}

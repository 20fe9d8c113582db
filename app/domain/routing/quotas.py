"""The quotas of all targets: of each its own, and what its provider's block declares for all its models together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from app.domain.catalog import Target
from app.domain.routing.allowance import Reading
from app.domain.routing.quota import Declared, Quota, Shortage

#: stands for all models of a provider
ALL = "*"


class Quotas:
    """Of all targets. Not safe for threads: whoever shares it holds a lock."""

    def __init__(self, declared: Mapping[str, Declared], retry_after_cap_s: float = 3600.0) -> None:
        self._cap_s = retry_after_cap_s
        #: processes that use the same quotas at the moment, beside this one
        self.beside = 0
        #: is any limit known that is one of tokens?
        self.counts_tokens = any(each.tokens_per_minute is not None for each in declared.values())
        self.of: dict[Target, Quota] = {
            Target(provider, ALL): Quota(each, retry_after_cap_s)
            for provider, each in declared.items()
            if each != Declared()
        }
        self._shared = {target.provider: quota for target, quota in self.of.items()}

    def own(self, target: Target) -> Quota:
        """What is known of the target itself."""
        if target not in self.of:
            self.of[target] = Quota(retry_after_cap_s=self._cap_s)
        return self.of[target]

    def _both(self, target: Target) -> list[Quota]:
        shared = self._shared.get(target.provider)
        own = self.of.get(target) or self.own(target)
        return [own] if shared is None else [own, shared]

    def shortage(
        self, target: Target, now_s: float, prompt_tokens: float = 0.0, *, reserved: bool = False
    ) -> Shortage | None:
        """None: it may be asked."""
        found: Shortage | None = None
        for quota in self._both(target):
            if (
                quota.is_limited
                and (short := quota.shortage(now_s, prompt_tokens, reserved=reserved, beside=self.beside)) is not None
            ):
                found = short if found is None or short.wait_s > found.wait_s else found
        return found

    def is_limited(self, target: Target) -> bool:
        """Is anything known that could say no?"""
        return any(quota.is_limited for quota in self._both(target))

    def is_scarce(self, target: Target, now_s: float) -> bool:
        return any(quota.is_limited and quota.is_scarce(now_s) for quota in self._both(target))

    def used_up(self, targets: Iterable[Target], now_s: float, prompt_tokens: float = 0.0) -> dict[Target, str]:
        """Those of them that should not be asked now, and why."""
        found = ((target, self.shortage(target, now_s, prompt_tokens)) for target in targets)
        return {target: short.reason for target, short in found if short is not None}

    def wanted(self, target: Target) -> None:
        self.own(target).wanted()

    def spend(self, target: Target, at_s: float, prompt_tokens: float = 0.0, requests: float = 1.0) -> None:
        for quota in self._both(target):
            quota.spend(at_s, prompt_tokens, requests)

    def used(self, target: Target, now_s: float, expected: float, prompt: float, completion: float) -> None:
        for quota in self._both(target):
            quota.used(now_s, expected, prompt, completion)

    def read(self, target: Target, readings: Sequence[Reading], sent_s: float, now_s: float) -> None:
        """What headers say, whatever came of the request."""
        self.counts_tokens = self.counts_tokens or any("tokens" in each.kind for each in readings)
        self.own(target).read(readings, sent_s, now_s)

    def served(self, target: Target, sent_s: float, now_s: float, readings: Sequence[Reading] = ()) -> None:
        self.read(target, readings, sent_s, now_s)
        self.own(target).served(sent_s)

    def limited(
        self,
        target: Target,
        sent_s: float,
        now_s: float,
        retry_after_s: float | None,
        readings: Sequence[Reading] = (),
        prompt_tokens: float = 0.0,
    ) -> None:
        own = self.own(target)
        for quota in self._both(target):
            if quota is not own:
                quota.spend(now_s, prompt_tokens, -1.0)
        own.limited(sent_s, now_s, retry_after_s, readings, prompt_tokens)

    def apply(self, event: Sequence[Any]) -> None:
        """What happened, here or in another process: its name, the target, and numbers and readings.

        Raises ValueError, TypeError or IndexError for what is none.
        """
        name, target, *rest = event
        known: dict[str, Callable[..., None]] = {
            "spend": self._spent,
            "answered": self._answered,
            "limited": self._refused,
            "read": self._told,
            "reserve": self._reserved,
            "release": self._released,
        }
        if name not in known:
            raise ValueError(f"no event of a quota: {name!r}")
        known[name](Target.parse(target), *rest)

    def _spent(self, target: Target, at_s: Any, prompt_tokens: Any, requests: Any) -> None:
        self.spend(target, float(at_s), float(prompt_tokens), float(requests))

    def answered(
        self,
        target: Target,
        sent_s: float,
        now_s: float,
        readings: Sequence[Reading],
        expected: float,
        prompt: float,
        completion: float,
    ) -> None:
        """An answer came, of so many tokens where `expected` were spent for its prompt."""
        self.served(target, sent_s, now_s, readings)
        self.used(target, now_s, expected, prompt, completion)

    def _answered(self, target: Target, sent_s: Any, now_s: Any, readings: Any, *tokens: Any) -> None:
        expected, prompt, completion = map(float, tokens)
        self.answered(target, float(sent_s), float(now_s), _readings(readings), expected, prompt, completion)

    def _refused(
        self, target: Target, sent_s: Any, now_s: Any, retry_after_s: Any, readings: Any, prompt_tokens: Any
    ) -> None:
        delay_s = None if retry_after_s is None else float(retry_after_s)
        self.limited(target, float(sent_s), float(now_s), delay_s, _readings(readings), float(prompt_tokens))

    def _told(self, target: Target, sent_s: Any, now_s: Any, readings: Any) -> None:
        self.read(target, _readings(readings), float(sent_s), float(now_s))

    def _reserved(self, target: Target, until_s: Any) -> None:
        for quota in self._both(target):
            quota.reserved.append(float(until_s))

    def _released(self, target: Target, until_s: Any) -> None:
        for quota in self._both(target):
            if float(until_s) in quota.reserved:
                quota.reserved.remove(float(until_s))

    def to_json(self, target: Target, now_s: float) -> dict[str, Any] | None:
        """What is left of its limits, and why it should not be asked, where it should not; None: no limit is known."""
        known = [quota for quota in self._both(target) if quota.is_limited]
        if not known:
            return None
        left: dict[str, dict[str, int | None]] = {}
        for quota in known:
            for kind, figures in quota.left(now_s).items():
                left[kind] = min(figures, left.get(kind, figures), key=lambda each: each["left"] or 0)
        short = self.shortage(target, now_s)
        return {
            "left": left,
            "usedUp": None if short is None else short.reason,
            "waitS": None if short is None else round(short.wait_s, 1),
        }


def _readings(rows: Iterable[Sequence[Any]]) -> tuple[Reading, ...]:
    return tuple(Reading(str(kind), *[None if each is None else float(each) for each in rest]) for kind, *rest in rows)  # type: ignore[arg-type]  # `remaining` is a number, or float() has raised

"""Why a request ended where it ended, in a true sentence: the route says why an order, the attempts the rest.

Attempts stand in the order in which they began, those passed over before them. From that, and from the route's order,
follows what nobody wrote down: of two at once the earlier was late; a target that was called out of its turn, or not at
all though its turn had come, was kept back by its breaker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: statuses of the request log, and codes of attempts
OK, CLIENT_GONE, HEDGED, UNSUPPORTED = "ok", "client_gone", "hedged", "unsupported"

_KEPT_BACK = "its breaker is open, or on trial elsewhere"


def ending(
    *, reason: str, order: Sequence[str], attempts: Sequence[Mapping[str, Any]], served: str | None, status: str
) -> str:
    """`reason`: why the first of `order` is first. `attempts`: as the API shows them, those passed over too."""
    codes = {_target(each): (each.get("error") or {}).get("code") for each in attempts}
    if served is None:
        told = [_obstacle(target, code) for target, code in codes.items() if code is not None]
        return f"nobody answered: {'; '.join(told) or 'no target could be called in time'}"
    why = _Course.of(order, codes, served).why(reason)
    if status == CLIENT_GONE:
        return f"{why}; the client left before its end"
    return why if status == OK else f"{why}; the answer broke off ({status})"


def fell_over(attempts: Sequence[Mapping[str, Any]]) -> bool:
    """Did a target that was called fail, and another was called as well?"""
    codes = [(each.get("error") or {}).get("code") for each in attempts]
    called = [code for code in codes if code != UNSUPPORTED]
    return len(called) > 1 and any(code not in {None, HEDGED, CLIENT_GONE} for code in called)


@dataclass(frozen=True, slots=True)
class _Course:
    """How a request came to the target that served it."""

    #: before it in the route's order
    ahead: tuple[str, ...]
    #: what became of those that were called or passed over; None: served
    codes: Mapping[str, str | None]
    #: called before it began, and after
    earlier: tuple[str, ...]
    later: tuple[str, ...]

    @classmethod
    def of(cls, order: Sequence[str], codes: Mapping[str, str | None], served: str) -> _Course:
        called = [target for target in codes if target == served or codes[target] != UNSUPPORTED]
        place = called.index(served) if served in called else len(called)
        rank = order.index(served) if served in order else 0
        return cls(tuple(order[:rank]), codes, tuple(called[:place]), tuple(called[place + 1 :]))

    def why(self, reason: str) -> str:
        late = [target for target in self.earlier if self.codes[target] == HEDGED]
        obstacles = self._obstacles()
        told = [f"it answered before {', '.join(late)}, which was late"] if late else []
        if self._out_of_turn():
            told.append(f"its turn came late, as {_KEPT_BACK}")
        elif not late and not obstacles:
            told.append(reason)
        elif not late:
            return "; ".join([_next_after(obstacles), *self._beside()])
        return "; ".join([*told, *obstacles, *self._beside()])

    def _out_of_turn(self) -> bool:
        """Somebody was called before it whom the route has after it."""
        return any(target not in self.ahead for target in self.earlier)

    def _obstacles(self) -> list[str]:
        """What kept those ahead of it, in the route's order, and others that were asked before it, from answering."""
        asked = [*self.ahead, *(target for target in self.earlier if target not in self.ahead)]
        return [told for target in asked if (told := self._obstacle(target)) is not None]

    def _obstacle(self, target: str) -> str | None:
        code = self.codes.get(target)
        if code is None or target in self.later:
            return f"{target} was not called{' before it' if target in self.later else ''}, as {_KEPT_BACK}"
        return None if code == HEDGED else _obstacle(target, code)

    def _beside(self) -> list[str]:
        """A second attempt that the answer did not wait for, or that failed first."""
        ends = [(target, self.codes[target]) for target in self.later]
        return [
            f"{target} was asked beside it and not needed"
            if code == HEDGED
            else f"{target}, asked beside it, failed ({code})"
            for target, code in ends
        ]


def _next_after(obstacles: Sequence[str]) -> str:
    joint = ":" if all(_KEPT_BACK in each for each in obstacles) else " after"
    return f"next in the order{joint} {'; '.join(obstacles)}"


def _obstacle(target: str, code: str) -> str:
    if code == UNSUPPORTED:
        return f"{target} cannot do what is asked"
    return f"{target} was asked beside and not waited for" if code == HEDGED else f"{target} failed ({code})"


def _target(attempt: Mapping[str, Any]) -> str:
    return f"{attempt['provider']}/{attempt['model']}"

"""Why a request ended where it ended, in a true sentence: the route says why an order, the attempts the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: statuses of the request log, and codes of attempts
OK, CLIENT_GONE, HEDGED, UNSUPPORTED = "ok", "client_gone", "hedged", "unsupported"


def ending(
    *, reason: str, order: Sequence[str], attempts: Sequence[Mapping[str, Any]], served: str | None, status: str
) -> str:
    """`reason`: why the first of `order` is first. `attempts`: as the API shows them, those passed over too."""
    codes = {_target(each): (each.get("error") or {}).get("code") for each in attempts}
    before = [target for target in codes if target != served and codes[target] is not None]
    failed = [f"{target} failed ({codes[target]})" for target in before if codes[target] not in (HEDGED, UNSUPPORTED)]
    passed = [f"{target} cannot do what is asked" for target in before if codes[target] == UNSUPPORTED]
    late = [target for target in before if codes[target] == HEDGED]
    if served is None:
        return f"nobody answered: {'; '.join([*passed, *failed]) or 'no target could be called in time'}"
    why = _why(reason, order, served, [*passed, *failed], late, codes)
    if status == CLIENT_GONE:
        return f"{why}; the client left before its end"
    return why if status == OK else f"{why}; the answer broke off ({status})"


def _why(
    reason: str,
    order: Sequence[str],
    served: str,
    obstacles: Sequence[str],
    late: Sequence[str],
    codes: Mapping[str, str | None],
) -> str:
    first = order[0] if order else served
    beside = f"; {', '.join(late)} was asked beside it and not needed" if late else ""
    if served == first:
        return reason + beside
    if first in late:
        told = f"it answered before {first}, which was late"
        return "; ".join([told, *obstacles])
    if obstacles:
        skipped = [] if first in codes else [f"{first} was not called: its breaker is open, or on trial elsewhere"]
        return f"next in the order after {'; '.join([*skipped, *obstacles])}{beside}"
    return f"next in the order: {first} was not called, as its breaker is open, or on trial elsewhere{beside}"


def _target(attempt: Mapping[str, Any]) -> str:
    return f"{attempt['provider']}/{attempt['model']}"

"""What the owner of a key is told whose limit is reached: which one, and when there is room again."""

from __future__ import annotations

from datetime import UTC, datetime

from app.access.allowance import Allowance
from app.domain.key_limits import NANOS, Budget
from app.errors import BudgetSpent, InvalidRequest, TooManyRequests

#: s, where a place may be free at any moment
SOON_S = 1.0


def refused(asked: Allowance, why: str, left_s: float, now_s: float) -> TooManyRequests:
    """`why`: one of app.access.ledger.REFUSALS; `left_s`: of the minute."""
    limits = asked.limits
    if why in ("day", "month"):
        return _over_budget(asked, why, now_s)
    text, wait_s = {
        "requests": (f"may send {limits.requests_per_minute} requests per minute", left_s),
        "tokens": (f"may use {limits.tokens_per_minute} tokens per minute, and this asks for {asked.tokens}", left_s),
        "in_flight": (f"may have {limits.in_flight} requests in flight: wait for one to end", SOON_S),
    }[why]
    return TooManyRequests(f"the key {asked.name!r} {text}", retry_after_s=wait_s)


def too_large(asked: Allowance, tokens: int, most: int) -> InvalidRequest:
    """To wait would not help."""
    return InvalidRequest(
        f"this asks for up to {tokens} tokens, prompt and answer together, and the key {asked.name!r} may use"
        f" {most} per minute: ask for fewer (max_tokens), or send less",
        field="max_tokens",
    )


def _over_budget(asked: Allowance, why: str, now_s: float) -> BudgetSpent:
    budget, at, figures = asked.limits.budget, asked.period, asked.figures
    assert budget is not None
    assert at is not None
    assert figures is not None
    most, ends = (budget.day_usd, at.day_ends) if why == "day" else (budget.month_usd, at.month_ends)
    spent = figures.day_spent if why == "day" else figures.month_spent
    held = f" and {figures.held / NANOS:.6g} USD are reserved for requests in flight" if figures.held else ""
    text = (
        f"the key {asked.name!r} may spend {most:g} USD a {why} ({budget.zone}): {spent / NANOS:.6g} USD are"
        f" spent{held}, and this may cost {asked.nanos / NANOS:.6g} USD. The next {why} begins at"
        f" {ends.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    )
    return BudgetSpent(text, retry_after_s=max(1.0, (ends - datetime.fromtimestamp(now_s, UTC)).total_seconds()))


def warning(asked: Allowance) -> str | None:
    """Of a budget that is not hard, and spent; None: there is none, or something is left of it."""
    budget, figures = asked.limits.budget, asked.figures
    if budget is None or budget.hard or figures is None:
        return None
    return over(budget, figures.day_spent, figures.month_spent)


def over(budget: Budget, day_spent: int, month_spent: int) -> str | None:
    """What is spent, where nothing is left of it."""
    found = [("day", budget.day_usd, day_spent), ("month", budget.month_usd, month_spent)]
    said = [
        f"{spent / NANOS:.6g} of {most:g} USD a {name} ({budget.zone})"
        for name, most, spent in found
        if most is not None and spent >= most * NANOS
    ]
    return ", ".join(said) or None

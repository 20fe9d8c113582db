"""How figures are written for people: the same digits wherever they stand."""

from __future__ import annotations

import math
from collections.abc import Sequence


def share(value: float) -> str:
    """.10, .125, 1.00: shares, weights and rates, to three digits and no fewer than two."""
    text = f"{value:.3f}".removesuffix("0")
    return _bare(text)


def points(value: float) -> str:
    """.176 or −.010: scores, utilities and their differences."""
    return _bare(f"{value:.3f}")


def signed(value: float) -> str:
    """+.140 or −.010."""
    text = points(value)
    return text if text.startswith("−") else f"+{text}"


def ms(value: float) -> str:
    return f"{value:.0f} ms" if value < 10_000 else f"{value / 1000:.1f} s"


def usd(value: float) -> str:
    """To four digits that count, no less than a cent's hundredth where it is more: $0.0003, $1.25."""
    if value == 0:
        return "$0"
    if abs(value) >= 1:
        return f"${value:,.2f}"
    # below, Python would write $4.8e-05
    return f"${value:.4g}" if abs(value) >= 1e-4 else f"${value:.{1 - math.floor(math.log10(abs(value)))}f}"


def age(seconds: float) -> str:
    for limit, unit, size in ((120, "s", 1), (7200, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"


def adding_up(values: Sequence[float], total: float, digits: int) -> list[float]:
    """Rounded so that they add up to the rounded total: the largest remainders take what is missing."""
    unit = 10.0**-digits
    steps = [value / unit for value in values]
    whole = [int(step // 1) for step in steps]
    missing = round(total / unit) - sum(whole)
    order = sorted(range(len(steps)), key=lambda place: whole[place] - steps[place])
    for place in order[: max(0, missing)]:
        whole[place] += 1
    return [round(number * unit, digits) for number in whole]


def _bare(text: str) -> str:
    """Without the zero before the point, and with a minus that is one."""
    minus, figure = ("−", text[1:]) if text.startswith("-") else ("", text)
    if not figure.strip("0."):
        minus = ""
    return minus + (figure.removeprefix("0") if figure.startswith("0.") else figure)

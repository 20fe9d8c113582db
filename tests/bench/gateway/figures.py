"""What was measured, as a table, and the bars it is held to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

#: a row of the table, and what each of them makes of it
Row = dict[str, float]


@dataclass
class Figures:
    rows: dict[str, Row] = field(default_factory=dict)
    #: names in their order, whether or not they could take part
    names: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def put(self, row: str, name: str, value: float) -> None:
        self.rows.setdefault(row, {})[name] = value

    def of(self, row: str, name: str) -> float | None:
        return self.rows.get(row, {}).get(name)

    def note(self, name: str, why: str) -> None:
        if (line := f"{name}: {why}") not in self.notes:
            self.notes.append(line)

    def show(self) -> None:
        width = max(map(len, self.rows), default=0) + 2
        print(f"\n{'':<{width}}" + "".join(f"{name:>12}" for name in self.names))
        for row, mine in self.rows.items():
            cells = (
                f"{mine[name]:>12,.{_digits(mine[name])}f}" if name in mine else f"{'–':>12}" for name in self.names
            )
            print(f"{row:<{width}}" + "".join(cells))
        print("".join(f"\n{note}" for note in self.notes))


def _digits(value: float) -> int:
    return 0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2


OURS = "TooLoo"


@dataclass(frozen=True)
class Bar:
    """Of issue 16. None of a value is what was not measured."""

    what: str
    value: Callable[[Figures], float | None]
    bound: float
    #: the bound is the most, not the least
    most: bool = False

    def show(self, figures: Figures) -> None:
        value = self.value(figures)
        sign = "≤" if self.most else "≥"
        if value is None:
            print(f"–       {self.what}: not measured (bar {sign} {self.bound:,g})")
            return
        met = value <= self.bound if self.most else value >= self.bound
        print(f"{'met   ' if met else 'MISSED'}  {self.what}: {value:,.3g} (bar {sign} {self.bound:,g})")


def _mine(row: str) -> Callable[[Figures], float | None]:
    return lambda figures: figures.of(row, OURS)


def _times(row: str, other: str) -> Callable[[Figures], float | None]:
    def ratio(figures: Figures) -> float | None:
        ours, theirs = figures.of(row, OURS), figures.of(row, other)
        return ours / theirs if ours is not None and theirs else None

    return ratio


def _over_direct(row: str) -> Callable[[Figures], float | None]:
    def over(figures: Figures) -> float | None:
        ours, direct = figures.of(row, OURS), figures.of(row, "direct")
        return ours - direct if ours is not None and direct is not None else None

    return over


def bars(beside: Sequence[str]) -> list[Bar]:
    found = []
    for callers in (32, 200):
        row = f"requests/s, c={callers}"
        found.append(Bar(row, _mine(row), 4500))
        found += [
            Bar(f"{row}, × {other}", _times(row, other), least)
            for other, least in (("ferro", 0.6), ("Portkey", 3), ("LiteLLM", 20), ("bare WSGI", 0.4))
        ]
    row = "added ms at 200/s, p95"
    found.append(Bar(f"{row}, × bare WSGI", _times(row, "bare WSGI"), 2, most=True))
    found += [
        Bar(f"added ms at {rate}/s, p50, over direct", _over_direct(f"added ms at {rate}/s, p50"), 3, most=True)
        for rate in (50, 200)
    ]
    for count, most in ((400, 100), (500, 200)):
        gap, first = f"{count} streams: largest gap ms, p95", f"{count} streams: first token ms, p95"
        found += [Bar(gap, _mine(gap), most, most=True), Bar(first, _mine(first), 15, most=True)]
    found += [Bar(row, _mine(row), 2, most=True) for row in beside]
    row = "memory MB, after the run"
    found.append(Bar(row, _mine(row), 200, most=True))
    row = "memory, MB/min in the second half"
    return [*found, Bar(row, _mine(row), 1, most=True)]


def show_bars(figures: Figures, beside: Sequence[str]) -> None:
    print(
        "\nThe bars (docs/performance.md); decisions and rounds have theirs in the benches routing and rounds --large:"
    )
    for bar in bars(beside):
        bar.show(figures)

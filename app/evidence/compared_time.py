"""What a comparison with baselines is made of: of up to a day single calls, of more the sums per hour, day and week."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from sqlalchemy.orm import Session

from app.domain.policy import Objective
from app.domain.replay.baseline_sums import ProbedSums, live_cell, regrouped, round_cell
from app.domain.replay.baseline_types import BLOCKS, LiveCell, RoundCell
from app.store import baselines, comparing, rollups
from app.store.grains import DAY, HOUR, WEEK

WIDTHS = {HOUR: timedelta(hours=1), DAY: timedelta(days=1), WEEK: timedelta(weeks=1)}
#: up to which single calls are read
CALLS = timedelta(hours=36)
#: up to which probes are read one by one, and sums per hour
PROBES, HOURS = timedelta(days=8), timedelta(days=14)
#: up to which sums of probes per day are read
DAYS = timedelta(days=62)
#: periods of a series → the most time it may be of
MONTH = "month"
BY = {DAY: timedelta(days=31), WEEK: timedelta(days=371), MONTH: timedelta(days=3700)}


@dataclass(frozen=True, slots=True)
class Cells:
    """Of one time, in blocks."""

    start: datetime
    end: datetime
    live: Sequence[LiveCell]
    rounds: Sequence[RoundCell]
    #: of the outcomes that was read
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Recorded:
    whole: Cells
    #: of a series
    periods: Sequence[Cells] = ()
    summed: bool = True
    #: hours that lack calls in the sums
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class _Steps:
    """Of equal length, the last one perhaps broken off."""

    start: datetime
    end: datetime
    width: timedelta

    @property
    def count(self) -> int:
        return -(-(self.end - self.start) // self.width)

    def number(self, at: datetime) -> int:
        return (at - self.start) // self.width

    def nearest(self, at: datetime) -> int:
        return min(max(0, self.number(at)), self.count - 1)


class _Source:
    """Reads one kind of call, real or simulated, as the cells of one objective."""

    def __init__(self, session: Session, objective: Objective, *, simulated: bool) -> None:
        self.session, self.objective, self.simulated = session, objective, simulated

    def calls(self, start: datetime, end: datetime) -> Cells:
        share = baselines.share_read(self.session, start, end)
        live = baselines.live_cells(self.session, start, end, share, self.objective, simulated=self.simulated)
        return Cells(start, end, live, self.probes(_Steps(start, end, (end - start) / BLOCKS)), share)

    def probes(self, blocks: _Steps) -> list[RoundCell]:
        of = (blocks.start, blocks.end, blocks.width)
        return baselines.round_cells(self.session, *of, self.objective, simulated=self.simulated)

    def drawn(self, steps: _Steps, grain: str) -> list[LiveCell]:
        """In blocks of a step each."""
        rows = comparing.drawn(self.session, steps.start, steps.end, grain, simulated=self.simulated)
        return [live_cell(row, steps.number(row.at), self.objective) for row in rows]

    def probed(self, start: datetime, end: datetime, grain: str) -> list[ProbedSums]:
        return comparing.probed(self.session, start, end, grain, simulated=self.simulated)

    def rounds(self, blocks: _Steps) -> list[RoundCell]:
        span = blocks.end - blocks.start
        if span <= PROBES:
            return self.probes(blocks)
        grain = DAY if span <= DAYS else WEEK
        return self.placed(self.probed(blocks.start, blocks.end, grain), WIDTHS[grain], blocks)

    def placed(self, rows: Sequence[ProbedSums], width: timedelta, blocks: _Steps) -> list[RoundCell]:
        """Each in the block its middle lies in, or in the nearest one."""
        return [round_cell(row, blocks.nearest(row.at + width / 2), self.objective) for row in rows]


def recorded(
    session: Session, start: datetime, end: datetime, by: str | None, objective: Objective, *, simulated: bool
) -> Recorded:
    source = _Source(session, objective, simulated=simulated)
    if end - start <= CALLS and by is None:
        return Recorded(source.calls(start, end), summed=False)
    grain = HOUR if by == DAY or (by is None and end - start <= HOURS) else DAY
    steps = _Steps(_aligned(start, grain), end, WIDTHS[grain])
    cells = source.drawn(steps, grain)
    per_block = -(-steps.count // BLOCKS)
    live = regrouped(cells, {number: number // per_block for number in range(steps.count)})
    whole = Cells(steps.start, end, live, source.rounds(_Steps(steps.start, end, per_block * steps.width)))
    periods = () if by is None else _periods(source, steps, cells, by)
    return Recorded(whole, periods, waiting=rollups.waiting(session, steps.start, end))


def _periods(source: _Source, steps: _Steps, cells: Sequence[LiveCell], by: str) -> list[Cells]:
    """Each with a step as its block."""
    grain = DAY if by == DAY else WEEK
    probed: dict[str, list[ProbedSums]] = defaultdict(list)
    for row in source.probed(steps.start, steps.end, grain):
        probed[row.target].append(row)
    found = []
    for start, end in pairwise(_bounds(steps.start, steps.end, by)):
        blocks = _Steps(start, end, steps.width)
        first = steps.number(start)
        live = [cell for cell in cells if first <= cell.block < first + blocks.count]
        rounds = source.placed(_around(probed, start, end, WIDTHS[grain]), WIDTHS[grain], blocks)
        found.append(Cells(start, end, live, [cell._replace(block=cell.block + first) for cell in rounds]))
    return found


def _around(
    probed: Mapping[str, Sequence[ProbedSums]], start: datetime, end: datetime, width: timedelta
) -> list[ProbedSums]:
    """Of every target what has a part in this time, else the nearest."""
    found: list[ProbedSums] = []
    for rows in probed.values():
        within = [row for row in rows if start - width < row.at < end]
        nearest = min((row.at for row in rows), key=lambda at: abs(at - start))
        found += within or [row for row in rows if row.at == nearest]
    return found


def _bounds(start: datetime, end: datetime, by: str) -> list[datetime]:
    """Of days, weeks and months in UTC; the first and the last one perhaps in part."""
    bounds = [start]
    while (following := _next(bounds[-1], by)) < end:
        bounds.append(following)
    return [*bounds, end]


def _next(at: datetime, by: str) -> datetime:
    day = at.replace(hour=0)
    if by == MONTH:
        return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return day + (timedelta(days=1) if by == DAY else timedelta(days=7 - day.weekday()))


def _aligned(moment: datetime, grain: str) -> datetime:
    hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return hour if grain == HOUR else hour.replace(hour=0)

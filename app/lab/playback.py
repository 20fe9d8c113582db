"""Which row of a trace answers a call.

A trace interleaves rounds and live requests in time; the playback has one position among its rows. A call whose
prompt is a benchmark prompt belongs to the latest round at or before the position: the n-th prompt takes the
provider's n-th sample, going round where there are more prompts than samples, so the answer does not depend on the
order in which a round's probes are sent, or on one being sent twice. Every other call is a live request and takes the
latest request row at or before the position.

The position moves in one of two ways:

* by the clock, at first: trace time runs `speed` times as fast as real time, from the first call on. A client request
  may be tried on several providers and must meet the same row each time, although the clock has moved on: a call with
  the same messages as one that failed a moment ago, on a provider that has not been asked yet, is that same request.
* by hand, from the first `POST /lab/trace/advance` on: a driver names the row before it starts a round or sends a
  request, so that every request meets its own row exactly once, however long the stack takes over it.

All times are recorded times ÷ speed, and so is everything measured from them; `tooloo lab config` scales the
objective's latency reference to match.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from app.errors import Conflict, InvalidRequest
from app.lab.trace import Sample, Trace

#: the same messages on another provider within this time of a failure are the same client request, tried again
_FAILOVER_S = 60.0
#: client requests remembered for that
_REMEMBERED = 1000


@dataclass(slots=True)
class _Ticket:
    """A client request that has failed so far."""

    row: int
    at_s: float
    asked: set[str] = field(default_factory=set)


class Playback:
    """`now_s` is a monotonic clock in seconds."""

    def __init__(self, trace: Trace, speed: float) -> None:
        self.trace = trace
        self.speed = speed
        self._times = [row.t_s for row in trace.rows]
        self._rounds = [number for number, row in enumerate(trace.rows) if row.is_round]
        self._requests = [number for number, row in enumerate(trace.rows) if not row.is_round]
        #: row number, once it is moved by hand
        self._position: int | None = None
        self._started_s: float | None = None
        self._tickets: OrderedDict[str, _Ticket] = OrderedDict()

    def sample(self, provider: str, prompt_index: int | None, conversation: str, now_s: float) -> Sample:
        """What `provider` answers; `prompt_index` is that of the benchmark prompt, None for a live request."""
        if self._started_s is None:
            self._started_s = now_s
        position = self._at(now_s)
        if prompt_index is not None and self._rounds:
            samples = self.trace.rows[_latest(self._rounds, position)].samples[provider]
            return samples[prompt_index % len(samples)]
        row = _latest(self._requests or self._rounds, position)
        if self._position is None:
            row = self._row_of_request(provider, conversation, row, now_s)
        return self.trace.rows[row].samples[provider][0]

    def advance(self, to: str, number: int | None = None) -> None:
        """Moves the position by hand: to `next`, `next_round`, `next_request`, `start`, or the n-th `round`/`request`.

        Raises Conflict at the end of the trace, InvalidRequest for anything else.
        """
        rows = range(len(self.trace.rows))
        here = self._position if self._position is not None else -1
        match to:
            case "start":
                self._position = 0
            case "next":
                self._position = self._first_after(rows, here)
            case "next_round":
                self._position = self._first_after(self._rounds, here)
            case "next_request":
                self._position = self._first_after(self._requests, here)
            case "round" | "request":
                self._position = self._nth(to, number)
            case _:
                known = "next, next_round, next_request or start"
                raise InvalidRequest(f"to: must be {known}: got {to!r}", field="to")

    def state(self, now_s: float) -> dict[str, Any]:
        """Where the playback stands, for people and for drivers."""
        position = self._at(now_s)
        row = self.trace.rows[position]
        rounds, requests = bisect_right(self._rounds, position), bisect_right(self._requests, position)
        return {
            "trace": self.trace.name,
            "recorded": not self.trace.simulated,
            "speed": self.speed,
            "mode": "clock" if self._position is None else "hand",
            "row": position,
            "kind": "round" if row.is_round else "request",
            "t": row.t_s,
            # numbers of the round and of the request that calls are answered from, counted from 0
            "round": max(0, rounds - 1) if self._rounds else None,
            "request": max(0, requests - 1) if self._requests else None,
            "rounds": len(self._rounds),
            "requests": len(self._requests),
            "last": position == len(self.trace.rows) - 1,
        }

    def _at(self, now_s: float) -> int:
        if self._position is not None:
            return self._position
        elapsed_s = 0.0 if self._started_s is None else (now_s - self._started_s) * self.speed
        return max(0, bisect_right(self._times, self._times[0] + elapsed_s) - 1)

    def _row_of_request(self, provider: str, conversation: str, row: int, now_s: float) -> int:
        ticket = self._tickets.pop(conversation, None)
        if ticket is None or provider in ticket.asked or now_s - ticket.at_s > _FAILOVER_S:
            ticket = _Ticket(row, now_s)
        ticket.asked.add(provider)
        ticket.at_s = now_s
        if not self.trace.rows[ticket.row].samples[provider][0].ok:
            self._tickets[conversation] = ticket
            if len(self._tickets) > _REMEMBERED:
                self._tickets.popitem(last=False)
        return ticket.row

    def _first_after(self, rows: Sequence[int], here: int) -> int:
        index = bisect_right(rows, here)
        if index == len(rows):
            raise Conflict(f"the trace {self.trace.name} ends here: move to start, or to a round or request by number")
        return rows[index]

    def _nth(self, kind: str, number: int | None) -> int:
        rows = self._rounds if kind == "round" else self._requests
        if number is None or not 0 <= number < len(rows):
            raise InvalidRequest(f"{kind}: must be a number from 0 to {len(rows) - 1}: got {number!r}", field=kind)
        return rows[number]


def _latest(rows: Sequence[int], position: int) -> int:
    """The last of `rows` at or before `position`; before the first of them, the first."""
    return rows[max(0, bisect_right(rows, position) - 1)]

"""A whole HTTP answer, decided before its first byte is sent: what goes out when, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from app.lab.wire.base import Content, Event, Rejection


class End(StrEnum):
    """How an answer ends."""

    COMPLETE = "complete"
    CUT = "cut"  # the connection is closed before the answer is whole
    HANG = "hang"  # nothing is ever sent


@dataclass(frozen=True, slots=True)
class Frame:
    """Bytes, and when they are due: ms from the arrival of the request."""

    due_ms: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    content_type: str
    frames: tuple[Frame, ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    end: End = End.COMPLETE
    #: sent piece by piece, without a length
    streamed: bool = False
    #: for the journal
    content: Content | None = None
    fault: str | None = None
    cost_usd: float = 0.0

    @property
    def due_ms(self) -> float:
        return self.frames[-1].due_ms if self.frames else 0.0

    @property
    def length(self) -> int:
        """Of the body, as a header announces it: of one that is cut, more than will ever be sent."""
        sent = sum(len(frame.data) for frame in self.frames)
        return sent if self.end is End.COMPLETE else 2 * sent + 1


#: pause between two comments that keep a stream alive
KEEP_ALIVE_MS = 1000.0
#: pieces due within this time are sent as one
TOGETHER_MS = 0.5


def plain(body: bytes, due_ms: float) -> tuple[Frame, ...]:
    return (Frame(due_ms, body),)


def paced(events: list[Event], begin_ms: float, end_ms: float, keep_alive: bytes) -> tuple[Frame, ...]:
    """Events at their share of the way from `begin_ms` to `end_ms`, with comments before them."""
    comments = int(begin_ms // KEEP_ALIVE_MS) if keep_alive else 0
    frames = [Frame((number + 1) * KEEP_ALIVE_MS, keep_alive) for number in range(comments)]
    for share, data in events:
        due_ms = begin_ms + share * (end_ms - begin_ms)
        if frames and due_ms - frames[-1].due_ms < TOGETHER_MS:
            frames[-1] = Frame(due_ms, frames[-1].data + data)
        else:
            frames.append(Frame(due_ms, data))
    return tuple(frames)


def cut(frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """About half of what was to be sent: of one frame half its bytes, of several the first half of them."""
    if len(frames) == 1:
        return (Frame(frames[0].due_ms, frames[0].data[: len(frames[0].data) // 2]),)
    return frames[: (len(frames) + 1) // 2]


def refusal(rejection: Rejection, fault: str, due_ms: float, headers: Mapping[str, str]) -> Reply:
    return Reply(
        status=rejection.status,
        content_type=rejection.content_type,
        frames=plain(rejection.body, due_ms),
        headers={**headers, **rejection.headers, "x-lab-cost": "0"},
        fault=fault,
    )

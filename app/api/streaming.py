"""Server-sent events over a ReplyStream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from app.api.headers import header
from app.api.lean import Answer
from app.errors import InvalidRequest
from app.gateway.gateway import ReplyStream

#: header: give out nothing of a stream before its end, so that a failure on the way is never seen
WHOLE_ANSWERS = "x-tooloo-whole-answers"


def wants_whole() -> bool:
    """Raises InvalidRequest for a header that says neither."""
    said = (header(WHOLE_ANSWERS) or "false").lower()
    if said not in ("true", "1", "false", "0"):
        raise InvalidRequest(f"{WHOLE_ANSWERS}: send true or false, got {said[:50]!r}", field=WHOLE_ANSWERS)
    return said in ("true", "1")


def event_stream(stream: ReplyStream, events: Iterator[bytes], headers: Mapping[str, str]) -> Answer:
    """Each event leaves as soon as it is made, and is made when the client has room for it.

    A client that goes away is noticed at the next event; the call to the provider is stopped then.
    """
    said = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
    said["X-Accel-Buffering"] = "no"  # nginx would collect events else
    return Answer(Events(events, stream), 200, {**said, **headers})


class Events:
    """The body as it goes to the server, which reads it and closes it without anybody between."""

    def __init__(self, events: Iterator[bytes], stream: ReplyStream) -> None:
        self._events = events
        #: where the next event is waited for
        self.source = stream
        self.close = stream.close

    def __iter__(self) -> Iterator[bytes]:
        return self._events

"""Server-sent events over a ReplyStream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flask import Response, request

from app.api.lean import Finished
from app.errors import InvalidRequest
from app.gateway.gateway import ReplyStream

#: header: give out nothing of a stream before its end, so that a failure on the way is never seen
WHOLE_ANSWERS = "x-tooloo-whole-answers"


def wants_whole() -> bool:
    """Raises InvalidRequest for a header that says neither."""
    said = request.headers.get(WHOLE_ANSWERS, "false").lower()
    if said not in ("true", "1", "false", "0"):
        raise InvalidRequest(f"{WHOLE_ANSWERS}: send true or false, got {said[:50]!r}", field=WHOLE_ANSWERS)
    return said in ("true", "1")


def event_stream(stream: ReplyStream, events: Iterator[bytes], headers: Mapping[str, str]) -> Response:
    """Each event leaves as soon as it is made, and is made when the client has room for it.

    A client that goes away is noticed at the next event; the call to the provider is stopped then.
    """
    response = Finished(
        Events(events, stream), mimetype="text/event-stream", headers=dict(headers), direct_passthrough=True
    )
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Accel-Buffering"] = "no"  # nginx would collect events else
    return response


class Events:
    """The body as it goes to the server, which reads it and closes it without anybody between."""

    def __init__(self, events: Iterator[bytes], stream: ReplyStream) -> None:
        self._events = events
        self.close = stream.close

    def __iter__(self) -> Iterator[bytes]:
        return self._events

"""The answer as server-sent events: numbered, each with its name, as OpenAI's SDKs check them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from app.api.openai.answer import HEARTBEAT, compact, problem
from app.api.responses.answer import Draft, is_cut
from app.errors import TooLooError
from app.gateway.gateway import ReplyStream
from app.providers.base import BEAT, WAIT


class _Numbered:
    def __init__(self) -> None:
        self._next = 0

    def __call__(self, event: dict[str, Any]) -> bytes:
        event["sequence_number"] = self._next
        self._next += 1
        return f"event: {event['type']}\ndata: {compact(event)}\n\n".encode()


def events(stream: ReplyStream, draft: Draft, keep: Callable[[dict[str, Any]], dict[str, Any]]) -> Iterator[bytes]:
    """As they come, and comments while nothing does; the last one is response.completed, .incomplete or .failed.

    A failure before anybody has begun is an event `error`: there is no response yet. `keep` gets the whole response,
    and gives it as it is told.
    """
    numbered, output = _Numbered(), draft.output
    target: object = None
    try:
        for delta in stream:
            if delta is BEAT or delta is WAIT:
                yield HEARTBEAT if delta is BEAT else b""
                continue
            if target is None:
                target = stream.target
                yield from map(numbered, _opening(draft, target))
            for event in output.add(delta):
                yield numbered(event)
    except TooLooError as failure:
        if target is None:
            yield numbered(_error(failure))
            return
        yield numbered({"type": "response.failed", "response": draft.failed(stream.target or target, failure)})
        return
    assert stream.reply is not None
    if target is None:  # an answer of no word
        yield from map(numbered, _opening(draft, stream.reply.target))
    cut = is_cut(stream.reply.answer.finish)
    for event in output.end(whole=not cut):
        yield numbered(event)
    kind = "response.incomplete" if cut else "response.completed"
    yield numbered({"type": kind, "response": keep(draft.answered(stream.reply))})


def _opening(draft: Draft, target: object) -> Iterator[dict[str, Any]]:
    for kind in ("response.created", "response.in_progress"):
        yield {"type": kind, "response": draft.begun(target)}


def _error(failure: TooLooError) -> dict[str, Any]:
    """Flat, as the event's type has it; and as an error body, which the SDKs raise as an APIError."""
    body = problem(failure)[1]["error"]
    return {"type": "error", "code": body["code"], "message": body["message"], "param": body["param"], "error": body}

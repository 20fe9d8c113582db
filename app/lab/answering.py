"""A call and its course become a whole answer."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Protocol

from app.lab import reply
from app.lab.course import Course
from app.lab.faults import Fault, Refused
from app.lab.reply import End, Reply
from app.lab.text import example, tokens
from app.lab.wire.base import Call, Content, Finish, Stamp, Wire

#: a stream sends about one piece in this time …
_CHUNK_S = 0.01
#: … or, where everything is due at once, this many tokens in a piece
_CHUNK_TOKENS = 8


_THOUGHT = "This is a simulated thought, which leads nowhere. "


class AnswerFunction(Protocol):
    """Writes the answer to a prompt: `quality` is the grade (0..1) it should earn on average."""

    def __call__(self, prompt: str, quality: float, rng: random.Random, /, *, temperature: float | None) -> str: ...


def reply_to(wire: Wire, call: Call, course: Course, answer: AnswerFunction, rng: random.Random, now_s: float) -> Reply:
    """`now_s` is the time of day, for the ids and dates of the answer."""
    stamp = Stamp(created_s=int(now_s), nonce=rng.getrandbits(128) | 1 << 127)
    headers = wire.headers(stamp)
    if course.fault is Fault.TIMEOUT:
        return Reply(status=0, content_type="", frames=(), end=End.HANG, fault=Fault.TIMEOUT)
    if course.fault is not None and not course.fault.within_answer:
        return reply.refusal(wire.reject(Refused(course.fault), call.model), course.fault, course.begin_ms, headers)
    content = _content(_with_tool(call, course), course, answer, rng)
    cost_usd = course.cost_usd(content.prompt_tokens, content.completion_tokens)
    frames = _frames(wire, call, content, course, stamp)
    return Reply(
        status=200,
        content_type="text/event-stream; charset=utf-8" if call.stream and call.sse else "application/json",
        frames=reply.cut(frames) if course.fault is Fault.CUT else frames,
        headers={**headers, "x-lab-cost": f"{cost_usd:.10g}", "x-lab-quality": f"{course.quality:.4g}"},
        end=End.CUT if course.fault is Fault.CUT else End.COMPLETE,
        streamed=call.stream,
        content=content,
        fault=course.fault,
        cost_usd=cost_usd,
    )


def _frames(wire: Wire, call: Call, content: Content, course: Course, stamp: Stamp) -> tuple[reply.Frame, ...]:
    takes_ms = 1000 * content.completion_tokens / course.tokens_per_s if course.tokens_per_s else 0.0
    end_ms = course.begin_ms + takes_ms
    error = wire.reject(Refused(Fault.OVERLOADED), call.model).body if course.fault is Fault.ERROR_INSIDE else None
    if not call.stream:
        return reply.plain(error or wire.plain(call, content, stamp), end_ms)
    events = wire.stream(call, content, stamp)
    if error is not None:
        events = [*events[: (len(events) + 1) // 2], (1.0, wire.inside(call, error))]
    return reply.paced(events, course.begin_ms, end_ms, wire.keep_alive)


def _with_tool(call: Call, course: Course) -> Call:
    """A model that is free to choose a tool takes the first."""
    chooses = course.calls_tool and call.may_call and not call.must_call
    return replace(call, must_call=call.may_call[0]) if chooses else call


def _content(call: Call, course: Course, answer: AnswerFunction, rng: random.Random) -> Content:
    prompt_tokens = len(tokens(call.conversation))
    if course.fault in (Fault.EMPTY, Fault.BLOCKED):
        finish = Finish.STOP if course.fault is Fault.EMPTY else Finish.FILTER
        return Content(chunks=(), finish=finish, prompt_tokens=prompt_tokens, completion_tokens=0)
    text, stopped_by = _until_stop(_text(call, course, answer, rng), call.stop)
    pieces, thoughts = tokens(text), _thoughts(course.reasoning_tokens)
    finish = Finish.TOOL if call.must_call else Finish.STOP
    if course.fault is Fault.FILTER and not call.must_call:
        pieces, finish, stopped_by = pieces[: (len(pieces) + 1) // 2], Finish.FILTER, None
    # a tool call is never cut: half of its arguments would be no JSON
    if call.max_tokens is not None and len(thoughts) + len(pieces) > call.max_tokens and not call.must_call:
        thoughts = thoughts[: call.max_tokens]
        pieces, finish, stopped_by = pieces[: call.max_tokens - len(thoughts)], Finish.LENGTH, None
    return Content(
        chunks=_grouped(pieces, course.tokens_per_s),
        finish=finish,
        prompt_tokens=prompt_tokens,
        completion_tokens=course.sample.tokens if course.sample else len(thoughts) + len(pieces),
        thoughts=_grouped(thoughts, course.tokens_per_s),
        reasoning_tokens=len(thoughts),
        tool_name=call.must_call.name if call.must_call else None,
        stop_sequence=stopped_by,
        cached=course.cached,
    )


def _text(call: Call, course: Course, answer: AnswerFunction, rng: random.Random) -> str:
    if call.must_call:
        return json.dumps(example(call.must_call.schema))
    if call.json_schema:
        return json.dumps(example(call.json_schema))
    text = answer(call.prompt, course.quality, rng, temperature=call.temperature)
    return text if call.json_schema is None or _is_json(text) else json.dumps({"answer": text}, ensure_ascii=False)


def _thoughts(count: int) -> list[str]:
    return tokens(_THOUGHT * (count // len(tokens(_THOUGHT)) + 1))[:count]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _until_stop(text: str, stops: tuple[str, ...]) -> tuple[str, str | None]:
    found = min(((text.find(stop), stop) for stop in stops if stop and stop in text), default=None)
    return (text[: found[0]], found[1]) if found else (text, None)


def _grouped(pieces: list[str], tokens_per_s: float | None) -> tuple[str, ...]:
    size = max(1, round(tokens_per_s * _CHUNK_S)) if tokens_per_s else _CHUNK_TOKENS
    return tuple("".join(pieces[start : start + size]) for start in range(0, len(pieces), size))

"""A call for vectors and its course become a whole answer."""

from __future__ import annotations

from app.lab import reply
from app.lab.course import Course
from app.lab.faults import Fault, Refused
from app.lab.reply import End, Reply
from app.lab.text import tokens
from app.lab.vectors import dimensions_of, vector
from app.lab.wire.base import Content, EmbeddingCall, Finish, Stamp, Wire


def reply_to(wire: Wire, call: EmbeddingCall, course: Course, stamp: Stamp) -> Reply:
    fault, headers = course.fault, wire.headers(stamp)
    if fault is Fault.TIMEOUT:
        return Reply(status=0, content_type="", frames=(), end=End.HANG, fault=fault)
    if fault is not None and not fault.within_answer:
        return reply.refusal(wire.reject(Refused(fault), call.model), fault, course.begin_ms, headers)
    counted = call.tokens + sum(len(tokens(text)) for text in call.texts)
    frames, cost_usd = reply.plain(_body(wire, call, fault, counted), course.begin_ms), course.cost_usd(counted, 0)
    return Reply(
        status=200,
        content_type="application/json",
        frames=reply.cut(frames) if fault is Fault.CUT else frames,
        headers={**headers, "x-lab-cost": f"{cost_usd:.10g}"},
        end=End.CUT if fault is Fault.CUT else End.COMPLETE,
        content=Content(chunks=(), finish=Finish.STOP, prompt_tokens=counted, completion_tokens=0),
        fault=fault,
        cost_usd=cost_usd,
    )


def _body(wire: Wire, call: EmbeddingCall, fault: Fault | None, counted: int) -> bytes:
    if fault is Fault.ERROR_INSIDE:
        return wire.reject(Refused(Fault.OVERLOADED), call.model).body
    size = call.dimensions or dimensions_of(call.model)
    given = () if fault is Fault.EMPTY else call.inputs
    return wire.embeddings(call, [vector(call.model, each, size) for each in given], counted)

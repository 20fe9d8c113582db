"""/api/v1/chat: one question, answered by the best provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from flask import Blueprint
from pydantic import Field, model_validator

from app.api.allowed import allowance
from app.api.auth import caller
from app.api.current import asked_by, client, gateway
from app.api.envelope import Body, as_it_is, body
from app.api.lean import Answer
from app.api.names import Name
from app.api.openai.models import Chosen, choose
from app.api.sessions import session
from app.api.streaming import event_stream, wants_whole
from app.domain.catalog import TaskType
from app.domain.config.model_config import ModelOverride
from app.domain.routing import task_type as tasktype
from app.errors import TooLooError
from app.gateway.calls import Call, Reply, attempt_json
from app.gateway.gateway import ReplyStream
from app.providers.base import BEAT, WAIT, Message


class MessageBody(Body):
    role: Literal["system", "user", "assistant"]
    content: Annotated[str, Field(min_length=1)]


class ChatBody(Body):
    message: Annotated[str, Field(min_length=1)] | None = None
    messages: Annotated[list[MessageBody], Field(min_length=1, max_length=1000)] | None = None
    task_type: TaskType | None = None
    segment: Name | None = None
    provider: Name | None = None
    #: as under /v1: PROVIDER/MODEL, or a model, of whoever has it
    model: Name | None = None
    stream: bool = False
    #: named by alias only: pydantic keeps `model_config` for itself
    model_parameters: Annotated[ModelOverride, Field(alias="modelConfig")] = ModelOverride()

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.message is None) == (self.messages is None):
            raise ValueError("send either `message` (a text) or `messages` (a list of turns)")
        if self.provider is not None and self.model is not None:
            raise ValueError("send either `provider` or `model` (PROVIDER/MODEL), which names its provider")
        return self

    def call(self) -> Call:
        segment, key = asked_by(self.segment)
        turns = self.messages or [MessageBody(role="user", content=self.message or "")]
        messages = tuple(Message(turn.role, turn.content) for turn in turns)
        chosen = Chosen(self.provider) if self.model is None else choose(gateway().services, self.model)
        task = self.task_type or chosen.task_type
        return Call(
            messages=messages,
            task_type=task or tasktype.detect(messages),
            detected=task is None,
            segment=segment,
            key=key,
            provider=chosen.provider,
            model=chosen.model,
            whole=wants_whole(),
            client=client(),
            limits=caller().limits,
            allowance=allowance(),
            session=session(),
            parameters=self.model_parameters.values(),
        )


chat = Blueprint("chat", __name__)


@chat.post("/api/v1/chat")
def answer() -> Answer:
    """One question, answered by the best provider; with `"stream": true` as server-sent events."""
    wanted: ChatBody = body(ChatBody)
    call = wanted.call()
    if wanted.stream:
        stream = gateway().stream(call)
        return event_stream(stream, _events(stream), {"X-Tooloo-Request-Id": call.request_id})
    return as_it_is({"success": True, "data": _reply_json(gateway().chat(call))})


def _events(stream: ReplyStream) -> Iterator[bytes]:
    """`delta` for each piece, then `done` with what the plain answer would have been, or `error`."""
    try:
        for delta in stream:
            if delta is BEAT or delta is WAIT:
                yield b": waiting\n\n" if delta is BEAT else b""
            elif delta.words:
                yield _event("delta", {"content": delta.words})
    except TooLooError as failure:
        problem = {"code": failure.code, "message": failure.message, "requestId": stream.request_id}
        yield _event("error", problem)
        return
    assert stream.reply is not None
    yield _event("done", _reply_json(stream.reply))


def _event(name: str, data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def _reply_json(reply: Reply) -> dict[str, Any]:
    usage = reply.answer.usage
    return {
        "requestId": reply.request_id,
        "content": reply.answer.words,
        "provider": reply.target.provider,
        "model": reply.target.model,
        "taskType": reply.task_type.value,
        "finishReason": reply.answer.finish.value,
        "latency": round(reply.latency_ms, 1),
        "cost": reply.cost_usd,
        "cacheSaved": reply.cache_saved_usd,
        "tokens": {
            "prompt": usage.prompt,
            "completion": usage.completion,
            "total": usage.prompt + usage.completion,
            "cached": usage.cached,
            "estimated": usage.estimated,
        },
        "explored": reply.explored,
        "simulated": reply.simulated,
        "droppedParameters": list(reply.answer.dropped),
        "attempts": [attempt_json(attempt) for attempt in reply.attempts],
    }

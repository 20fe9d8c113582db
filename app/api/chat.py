"""/api/v1/chat: one question, answered by the best provider."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from flask import Blueprint, Response
from pydantic import Field, model_validator

from app.api.current import gateway
from app.api.envelope import Body, body, ok
from app.domain.catalog import TaskType
from app.domain.runtime_config import ModelOverride
from app.gateway import Attempt, Call, Reply
from app.providers.base import Message


class MessageBody(Body):
    role: Literal["system", "user", "assistant"]
    content: Annotated[str, Field(min_length=1)]


class ChatBody(Body):
    message: Annotated[str, Field(min_length=1)] | None = None
    messages: Annotated[list[MessageBody], Field(min_length=1, max_length=1000)] | None = None
    task_type: TaskType = TaskType.DEFAULT
    segment: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    provider: str | None = None
    #: named by alias only: pydantic keeps `model_config` for itself
    model_parameters: Annotated[ModelOverride, Field(alias="modelConfig")] = ModelOverride()

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.message is None) == (self.messages is None):
            raise ValueError("send either `message` (a text) or `messages` (a list of turns)")
        return self

    def call(self) -> Call:
        turns = self.messages or [MessageBody(role="user", content=self.message or "")]
        return Call(
            messages=tuple(Message(turn.role, turn.content) for turn in turns),
            task_type=self.task_type,
            segment=self.segment,
            provider=self.provider,
            parameters=self.model_parameters.model_dump(exclude_none=True),
        )


chat = Blueprint("chat", __name__)


@chat.post("/api/v1/chat")
def answer() -> Response:
    wanted: ChatBody = body(ChatBody)
    return ok(_reply_json(gateway().chat(wanted.call())))


def _reply_json(reply: Reply) -> dict[str, Any]:
    usage = reply.answer.usage
    return {
        "requestId": reply.request_id,
        "content": reply.answer.text,
        "provider": reply.target.provider,
        "model": reply.target.model,
        "taskType": reply.task_type.value,
        "finishReason": reply.answer.finish.value,
        "latency": round(reply.latency_ms, 1),
        "cost": reply.cost_usd,
        "tokens": {
            "prompt": usage.prompt,
            "completion": usage.completion,
            "total": usage.prompt + usage.completion,
            "estimated": usage.estimated,
        },
        "explored": reply.explored,
        "simulated": reply.simulated,
        "droppedParameters": list(reply.answer.dropped),
        "attempts": [_attempt_json(attempt) for attempt in reply.attempts],
    }


def _attempt_json(attempt: Attempt) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "provider": attempt.target.provider,
        "model": attempt.target.model,
        "success": attempt.success,
        "latency": round(attempt.latency_ms, 1),
    }
    if attempt.error is not None:
        shown["error"] = {"code": attempt.error.code, "message": attempt.error.message}
    return shown

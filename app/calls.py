"""What the gateway takes and gives: a call, its attempts, and the reply."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.domain.catalog import Target, TaskType
from app.errors import ProviderError
from app.providers.base import Answer, Message


def new_request_id() -> str:
    return f"req-{uuid.uuid4().hex}"


@dataclass(frozen=True, slots=True)
class Call:
    """A chat request as the gateway takes it."""

    messages: tuple[Message, ...]
    task_type: TaskType = TaskType.DEFAULT
    #: the request did not name it: it was read off its words
    detected: bool = False
    segment: str | None = None
    #: only this provider; None: the best one
    provider: str | None = None
    #: only this model of that provider
    model: str | None = None
    #: model parameters of the request, over all configured ones; fields of ChatRequest
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: name of the API key that asked, for the account of who spent what
    key: str | None = None
    request_id: str = field(default_factory=new_request_id)

    @property
    def asked(self) -> str:
        """What the caller asked for, as `model` of /v1 says it."""
        if self.provider is not None:
            return self.provider if self.model is None else f"{self.provider}/{self.model}"
        return "auto" if self.detected or self.task_type is TaskType.DEFAULT else f"auto:{self.task_type}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One target on a route; not called where its error is Unsupported."""

    target: Target
    success: bool
    latency_ms: float
    error: ProviderError | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a chat request gave; `attempts` ends with the one that answered."""

    request_id: str
    answer: Answer
    target: Target
    task_type: TaskType
    explored: bool
    attempts: tuple[Attempt, ...]
    #: whole request, all attempts
    latency_ms: float
    cost_usd: float | None
    simulated: bool

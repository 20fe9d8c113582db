"""What the gateway takes and gives: a call, its attempts, and the reply."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.access.allowance import Allowance
from app.domain.catalog import Target, TaskType
from app.domain.key_limits import NO_LIMITS, KeyLimits
from app.errors import ProviderError
from app.providers.base import Answer, Completion, Delta, Dialect, Embedding, Message
from app.providers.client import AnswerStream

#: it asks the system for randomness once: to do so is a system call, for which a thread gives up the interpreter's lock
_names = random.Random()
os.register_at_fork(after_in_child=_names.seed)


def new_request_id() -> str:
    return f"req-{_names.getrandbits(128):032x}"


class Client(Protocol):
    """Who waits for an answer."""

    def on_leave(self, callback: Callable[[], None]) -> None:
        """To be called, in any thread, when they wait no longer."""


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
    #: only this model of that provider; without one, of whoever has it, the best of them first
    model: str | None = None
    #: no chat: vectors of this are wanted
    embedding: Embedding | None = None
    #: nor is it, where a target takes it as it is; `messages` are it for the others
    completion: Completion | None = None
    #: model parameters of the request, over all configured ones; fields of ChatRequest
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: fields beside those, by the names of the dialect, for targets that speak it
    extra: Mapping[str, Any] = field(default_factory=dict)
    #: fields of `parameters` for every target that speaks it, whatever is known of it
    passed: frozenset[str] = frozenset()
    #: how the caller speaks
    dialect: Dialect = field(default_factory=Dialect)
    #: names of fields that were left out
    omitted: tuple[str, ...] = ()
    #: only to a target that has all that is asked
    require_parameters: bool = False
    #: under /v1: the configured ones are added only where the config says so
    verbatim: bool = False
    #: what the client calls the conversation; None: it does not say
    session: str | None = None
    #: name of the API key that asked, for the account of who spent what
    key: str | None = None
    #: of a stream: nothing is given out before the answer has come to its end
    whole: bool = False
    #: None: not known
    client: Client | None = None
    #: what the key may use, and what this request may; None: nothing of it is counted
    limits: KeyLimits = NO_LIMITS
    allowance: Allowance | None = None
    request_id: str = field(default_factory=new_request_id)

    @property
    def asked(self) -> str:
        """What the caller asked for, as `model` of /v1 says it."""
        if self.provider is None and self.model is not None:
            return self.model
        if self.provider is not None:
            return self.provider if self.model is None else f"{self.provider}/{self.model}"
        return "auto" if self.detected or self.task_type is TaskType.DEFAULT else f"auto:{self.task_type}"


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """How the attempt at one target of a route ended; not called where its error is Unsupported."""

    target: Target
    success: bool
    latency_ms: float
    error: ProviderError | None = None


def attempt_json(attempt: AttemptResult, *, kept: bool = False) -> dict[str, Any]:
    """An attempt as the caller is shown it; or as it is kept, without the words of a provider, who may quote."""
    shown: dict[str, Any] = {
        "provider": attempt.target.provider,
        "model": attempt.target.model,
        "success": attempt.success,
        "latency": round(attempt.latency_ms, 1),
    }
    if attempt.error is not None:
        shown["error"] = {"code": attempt.error.code, "message": attempt.error.kept if kept else attempt.error.message}
    return shown


@dataclass(frozen=True, slots=True)
class Begun:
    """A stream that has been asked for."""

    upstream: AnswerStream
    #: what has not been read of it
    deltas: Iterator[Delta]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a chat request gave; `attempts` in the order in which they began, one of them a success."""

    request_id: str
    answer: Answer
    target: Target
    task_type: TaskType
    explored: bool
    attempts: tuple[AttemptResult, ...]
    #: whole request, all attempts
    latency_ms: float
    cost_usd: float | None
    simulated: bool
    #: what the provider's cache saved of the answer's cost; None: it held nothing, or no price is known
    cache_saved_usd: float | None = None

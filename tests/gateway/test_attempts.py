"""What is left of attempts when a request is over."""

from __future__ import annotations

import gc
import random
import weakref
from collections import deque
from dataclasses import replace
from typing import Any

import pytest

from app.domain.policy import GatewayPolicy
from app.errors import Overloaded
from app.evidence.recorder import Entry, Recorder
from app.gateway.breakers import Breakers
from app.gateway.calls import Call
from app.gateway.gateway import Gateway
from app.gateway.metrics import Metrics
from app.providers.base import Answer, ChatRequest, Message
from tests.support.system import System, answer


class Words(str):
    """A text whose end can be seen."""

    __slots__ = ("__weakref__",)


class Waiting(Recorder):
    """Redis is away: what is handed over waits."""

    def __init__(self, system: System) -> None:
        limits = GatewayPolicy()
        super().__init__(system.services.redis, size=limits.outcome_buffer, stream_size=limits.outcome_stream)
        self.entries: list[Entry] = []

    def add(self, entry: Entry) -> bool:
        self.entries.append(entry)
        return True


def gateway(system: System, recorder: Recorder) -> Gateway:
    breakers = Breakers(system.services.redis, system.services.policy.breaker)
    return Gateway(system.services, recorder, breakers, random.Random(1), Metrics())


@pytest.mark.parametrize("stream", [False, True])
def test_a_record_that_waits_for_redis_keeps_neither_question_nor_answer(system: System, stream: bool) -> None:
    seen: list[weakref.ref[Words]] = []

    def behave(model: str, request: ChatRequest) -> Answer:
        words = Words("forty-two")
        seen.append(weakref.ref(words))
        return replace(answer(), text=words)

    system.client.behaviours |= {target.provider: behave for target in system.services.targets}
    recorder = Waiting(system)
    asking, question = gateway(system, recorder), Words("What is a mutex?")
    seen.append(weakref.ref(question))
    if stream:
        deque(asking.stream(Call((Message("user", question),))), maxlen=0)
    else:
        asking.chat(Call((Message("user", question),)))
    del question
    system.client.calls.clear()
    gc.collect()

    assert len(recorder.entries) == 1
    assert [ref() for ref in seen] == [None, None]


def test_a_record_says_all_that_was_known_when_the_request_ended(system: System) -> None:
    def fail(model: str, request: ChatRequest) -> Answer:
        raise Overloaded

    first = system.services.targets[0].provider
    system.client.behaviours[first] = fail
    recorder = Waiting(system)

    asking = gateway(system, recorder)
    asking.chat(Call((Message("user", "x"),)))
    asking.breakers.stop()

    requests: list[Any] = [each["request"] for each in recorder.entries if "request" in each]
    (written,) = (request() for request in requests)
    assert written["status"] == "ok"
    assert [each["success"] for each in written["attempts"]][-1] is True
    assert written["explanation"]["order"]

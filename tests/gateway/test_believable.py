"""What a provider says it used is not believed beyond what was asked for, and what it can."""

from __future__ import annotations

from dataclasses import replace

import pytest
import structlog

from app.domain.catalog import Target
from app.gateway.believable import COMPLETION, MOST_COMPLETION, bounded
from app.providers.base import ChatRequest, Completion, Message, Usage
from tests.support.system import System

HUGE = 2**31 - 1
ASKED = ChatRequest((Message("user", "Hello"),), max_tokens=100)
TARGET = Target("openai", "gpt-4.1-mini")


def told(system: System, usage: Usage, request: ChatRequest = ASKED) -> Usage:
    return bounded(usage, request, system.services.endpoints["openai"].provider, TARGET)


@pytest.mark.parametrize(
    ("request_", "completion"),
    [
        (ASKED, 100 + COMPLETION),
        (replace(ASKED, n=3), 3 * (100 + COMPLETION)),
        (replace(ASKED, max_tokens=None), None),
        (replace(ASKED, max_tokens=10**12), None),
        (replace(ASKED, completion=Completion(["a", "b"])), 2 * (100 + COMPLETION)),
    ],
)
def test_an_answer_is_no_longer_than_was_asked_for(
    system: System, request_: ChatRequest, completion: int | None
) -> None:
    with structlog.testing.capture_logs() as said:
        usage = told(system, Usage(prompt=10, completion=HUGE), request_)
    assert usage.completion <= MOST_COMPLETION if completion is None else usage.completion == completion
    assert (said[0]["said"], said[0]["counted"]) == ([10, HUGE], [10, usage.completion])


def test_every_part_of_it_is_bounded(system: System) -> None:
    usage = told(system, Usage(prompt=HUGE, completion=HUGE, reasoning=HUGE, cached=HUGE, cache_written=5))
    assert usage.cached <= usage.prompt < 20_000_000
    assert usage.cached + usage.cache_written <= usage.prompt
    assert usage.reasoning <= usage.completion <= MOST_COMPLETION


def test_what_is_likely_is_believed_as_it_is(system: System) -> None:
    for usage in (Usage(10, 20), Usage(90_000, 4000, cached=80_000), Usage(900_000, 30), Usage(10, 4150)):
        assert told(system, usage) is usage

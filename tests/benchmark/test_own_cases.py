"""Cases of one's own, as a round asks and grades them."""

from __future__ import annotations

from dataclasses import replace

from app.benchmark import probing
from app.domain.catalog import Prompt, TaskType
from app.domain.rounds.rounds import ProbeKey
from app.providers.base import Answer, ChatRequest
from app.store.claims import ProbeResult
from tests.benchmark.test_benchmark import system
from tests.support.system import System, answer

__all__ = ["system"]

CASE = Prompt(
    "refunds",
    "own cases",
    TaskType.DEFAULT,
    "And a toothbrush?",
    100,
    "yes-no",
    {"answer": "no"},
    own=True,
    system="Answer yes or no.",
    turns=(("user", "May I return a book?"), ("assistant", "Yes.")),
)


def probe(made: System, *, simulated: bool) -> ProbeResult:
    services = replace(made.services, prompts=(CASE,), simulated=simulated)
    provider = next(each for each in services.providers if each.name == "deepseek")
    key = ProbeKey("benchmark-1", "deepseek", provider.models[0], CASE.id)
    provider = replace(provider, simulated=simulated)
    return probing.run(services, key, provider, timeout_ms=1000, answered=lambda: None)


def test_a_case_is_asked_with_all_that_was_said_before(system: System) -> None:
    asked: list[ChatRequest] = []

    def kept(model: str, request: ChatRequest) -> Answer:
        asked.append(request)
        return replace(answer(), text="No.")

    system.client.behaviours["deepseek"] = kept
    found = probe(system, simulated=False)

    assert [(message.role, message.content) for message in asked[-1].messages] == [
        ("system", "Answer yes or no."),
        ("user", "May I return a book?"),
        ("assistant", "Yes."),
        ("user", "And a toothbrush?"),
    ]
    assert (found.quality, found.grade_reasons) == (1.0, ("the answer is no",))


def test_a_simulated_provider_is_not_graded_for_what_it_cannot_know(system: System) -> None:
    found = probe(system, simulated=True)

    assert (found.status, found.quality) == ("ok", None)
    assert found.grade_reasons == ("not applicable: a simulated provider cannot answer a case of your own",)

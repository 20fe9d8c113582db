"""Probes and the quotas of their targets."""

from __future__ import annotations

from collections import Counter

from app.domain.catalog import Target
from app.errors import RateLimited
from app.providers.base import Answer, ChatRequest
from app.store import database
from app.store.models import Probe
from tests.benchmark.test_benchmark import run_round, system
from tests.support.system import System, answer

__all__ = ["system"]

DEEPSEEK = Target("deepseek", "deepseek-chat")


def probes_of(made: System, round_id: str) -> list[Probe]:
    with database.transaction(made.services.sessions) as session:
        return list(session.query(Probe).where(Probe.round_id == round_id, Probe.provider == "deepseek"))


def test_a_probe_that_is_refused_for_load_is_sent_again_and_counts_as_what_came_then(system: System) -> None:
    asked: Counter[str] = Counter()

    def limited_at_first(model: str, request: ChatRequest) -> Answer:
        asked[str(request.messages)] += 1
        if asked.total() == 1:
            raise RateLimited(retry_after_s=0.2)
        return answer()

    system.client.behaviours["deepseek"] = limited_at_first
    probes = probes_of(system, run_round(system))
    assert {probe.status for probe in probes} == {"ok"}
    assert asked.total() == len(probes) + 1


def test_what_has_no_place_is_not_sent_and_is_no_evidence(system: System) -> None:
    asked: Counter[str] = Counter()

    def limited(model: str, request: ChatRequest) -> Answer:
        asked["deepseek"] += 1
        raise RateLimited(retry_after_s=900)

    system.client.behaviours["deepseek"] = limited
    probes = probes_of(system, run_round(system))
    assert asked.total() == 1
    assert {(probe.error_class, probe.counts) for probe in probes} == {("rate_limited", False)}
    system.services.scorecard.refresh(system.services.redis)
    known = system.services.scorecard.value.evidence.get(DEEPSEEK)
    assert known is None or known.mass == 0

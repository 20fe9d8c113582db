"""Whatever a round shows, no two of its insights say the opposite of each other, and none says what is not so."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from app.domain.catalog import Target
from app.domain.config.runtime_config import Weights
from app.domain.insight import Insight
from app.domain.optimizer.optimizer import Optimization
from app.domain.outcome import Outcome
from app.errors import BadKey, OutOfCredit
from tests.domain.optimizer.test_optimizer import Loop, triple
from tests.domain.small_world import TARGETS, outcome

ROUNDS, PROBES = 8, 10
MOVED = re.compile(r"exploration (\.\d+|1)(?: → (\.\d+|1))?")
PRAISE = {"best", "objective", "weights", "rollback", "exploration", "latency", "reliability"}


def _calls(target: Target, rng: random.Random, kind: str, latencies: Sequence[float]) -> list[Outcome]:
    if kind in (BadKey.code, OutOfCredit.code):
        return [replace(outcome(target, 30.0, success=False), error_class=kind) for _ in range(PROBES)]
    share = {"dead": 0.0, "shaky": rng.uniform(0.2, 0.95), "well": 1.0}[kind]
    latency_ms, cost_usd, quality = rng.choice(latencies), rng.choice((2e-4, 1e-3, 4e-3)), rng.random()
    return [
        outcome(
            target,
            latency_ms * rng.uniform(0.8, 1.3),
            success=rng.random() < share,
            cost_usd=cost_usd,
            quality=rng.choice((quality, 1.0)),
        )
        for _ in range(PROBES)
    ]


def _round(rng: random.Random) -> list[Outcome]:
    calm = rng.random() < 0.5
    often = (12, 1, 0, 1, 0) if calm else (8, 2, 1, 1, 1)
    latencies = (300.0,) if calm else (200.0, 300.0, 420.0, 900.0, 3000.0)
    kinds = rng.choices(("well", "shaky", "dead", BadKey.code, OutOfCredit.code), often, k=len(TARGETS))
    return [each for target, kind in zip(TARGETS, kinds, strict=True) for each in _calls(target, rng, kind, latencies)]


@pytest.mark.parametrize("seed", range(150))
def test_the_insights_of_a_round_agree(seed: int) -> None:
    rng, loop = random.Random(seed), Loop()
    for _ in range(ROUNDS):
        outcomes, complete = _round(rng), rng.random() < 0.8
        before, rate = loop.weights, loop.rate
        result = loop.round(outcomes, complete=complete)
        _agree(result, outcomes, before, rate, complete=complete)


def _agree(result: Optimization, outcomes: Sequence[Outcome], before: Weights, rate: float, *, complete: bool) -> None:
    said = {kind: [each for each in result.insights if each.kind == kind] for kind in {i.kind for i in result.insights}}
    everything = "\n".join(each.text for each in result.insights)
    refused = {each.target.provider for each in outcomes if each.needs_person}
    assert {each.data["provider"] for each in said.get("needs_person", ())} == refused, everything
    assert len(said.get("best", ())) <= 1, everything
    if not complete:
        assert not PRAISE & said.keys(), everything
        assert (triple(result.weights), result.exploration_rate) == (triple(before), rate), everything
    for best in said.get("best", ()):
        _is_best(best, outcomes, refused, everything)
    for worth in said.get("objective", ()):
        assert worth.data["preferred"] not in {worth.data["target"], *refused}, everything
        assert worth.data["target"] not in refused, everything
        for best in said.get("best", ()):
            assert best.text.startswith(f"Best provider: {worth.data['preferred']} "), everything
    _alarms_agree(said.get("latency", []) + said.get("reliability", []), result, everything)


def _is_best(best: Insight, outcomes: Sequence[Outcome], refused: set[str], everything: str) -> None:
    scores = best.data["scores"]
    name = max(scores, key=lambda each: (scores[each], best.text.startswith(f"Best provider: {each} ")))
    assert best.text.startswith(f"Best provider: {name} "), everything
    assert any(each.success for each in outcomes if each.target.provider == name), everything
    assert not refused & scores.keys(), everything


def _alarms_agree(alarms: Sequence[Insight], result: Optimization, everything: str) -> None:
    subjects = [each.text.partition(" ")[0] for each in alarms]
    assert len(subjects) == len(set(subjects)), everything
    if any(each.kind == "reliability" for each in alarms):
        assert "all targets are reliable" not in everything, everything
    if alarms:
        assert "no target became slow or unreliable" not in everything, everything
    moves = {(was, now or was) for each in result.insights for was, now in MOVED.findall(each.text)}
    assert len(moves) <= 1, everything
    for _, now in moves:
        assert abs(float(now) - result.exploration_rate) < 0.001, everything

"""Live calls told for the lengths of the benchmark's."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from app.domain.evidence.lengths import Lengths
from app.domain.evidence.scorecard import Scorecard
from app.domain.outcome import Outcome, Source
from app.domain.routing import router
from tests.domain.small_world import DEEPSEEK, GEMINI, POLICY, START, TARGETS, config, outcome


def call(target, tokens: int, ms: float, usd: float, source: Source, prompt: int | None = 50) -> Outcome:  # type: ignore[no-untyped-def]  # a word of these tests
    made = outcome(target, ms, cost_usd=usd, source=source)
    return replace(made, completion_tokens=tokens, prompt_tokens=prompt)


def round_(rng: random.Random) -> list[Outcome]:
    """Two targets that write at 200 and 300 ms per 100 tokens, behind 40 ms."""
    lengths = [rng.randint(40, 160) for _ in range(10)]
    return [
        call(target, tokens, 40 + pace * tokens, tokens * 2e-6, Source.BENCHMARK)
        for target, pace in ((DEEPSEEK, 2.0), (GEMINI, 3.0))
        for tokens in lengths
    ]


@pytest.mark.parametrize("times", [0.3, 3, 8])
def test_a_leader_whose_live_answers_are_longer_keeps_its_place(times: float) -> None:
    rng = random.Random(1)
    card = Scorecard.empty().close_round(round_(rng), POLICY)
    for _ in range(120):
        tokens = round(times * rng.randint(40, 160))
        live = call(DEEPSEEK, tokens, 40 + 2.0 * tokens, tokens * 2e-6, Source.LIVE, prompt=round(50 * times))
        card = card.observe([live], POLICY)

    assert card.evidence[DEEPSEEK].late.mean == pytest.approx(0.24, abs=0.04)
    assert card.evidence[DEEPSEEK].dear.mean == pytest.approx(0.0002 / 0.006, rel=0.35)
    assert router.plan(config(), TARGETS, card, {}, POLICY, START).ties == (DEEPSEEK,)


def test_a_leader_that_becomes_slow_at_the_same_lengths_does_not_keep_it() -> None:
    rng = random.Random(1)
    card = Scorecard.empty().close_round(round_(rng), POLICY)
    for _ in range(60):
        tokens = rng.randint(40, 160)
        card = card.observe([call(DEEPSEEK, tokens, 400 + 4.0 * tokens, tokens * 2e-6, Source.LIVE)], POLICY)

    assert router.plan(config(), TARGETS, card, {}, POLICY, START).ties == (GEMINI,)


def test_where_time_does_not_depend_on_lengths_none_is_corrected() -> None:
    rng, known = random.Random(2), Lengths()
    for _ in range(40):
        known = known.with_call(
            call(DEEPSEEK, rng.randint(10, 400), 240 * rng.lognormvariate(0, 0.1), 1e-4, Source.BENCHMARK)
        )

    told = known.as_probe(call(DEEPSEEK, 5, 240, 1e-4, Source.LIVE))

    assert told.latency_ms == pytest.approx(240, rel=0.1)


@pytest.mark.parametrize("unknown", [{"completion_tokens": None}, {"completion_tokens": 0}, {"tokens_estimated": True}])
def test_a_call_whose_tokens_are_not_known_counts_as_it_came(unknown: dict[str, object]) -> None:
    known = Lengths()
    for _ in range(10):
        known = known.with_call(call(DEEPSEEK, 100, 240, 1e-4, Source.BENCHMARK))
    live = replace(call(DEEPSEEK, 900, 2000, 9e-4, Source.LIVE), **unknown)  # type: ignore[arg-type]  # of these fields

    assert known.as_probe(live) == live
    assert known.with_call(live) == known

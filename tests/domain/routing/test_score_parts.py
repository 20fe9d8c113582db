from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from app.domain.catalog import Target
from app.domain.evidence.evidence import Evidence
from app.domain.evidence.scorecard import Scorecard
from app.domain.policy import Policy
from app.domain.routing import router
from tests.domain.small_world import (
    DEEPSEEK,
    GEMINI,
    OPENAI,
    POLICY,
    START,
    TARGETS,
    after_rounds,
    calls,
    config,
    later,
    table,
)

WEIGHTS = {"latency": 0.5, "cost": 0.2, "reliability": 0.3}


def shown(card: Scorecard, policy: Policy = POLICY, **update: Any) -> list[dict[str, Any]]:
    return router.candidates_json(router.plan(config(**update), TARGETS, card, {}, policy, START))


def mixed(seed: int, fail: float = 0.0) -> Scorecard:
    """Four targets that differ in everything, by chance."""
    rng = random.Random(seed)
    rows = [
        each
        for target in TARGETS
        for each in calls(
            target, 10, success=1 - rng.choice((0.0, fail)), latency_ms=rng.uniform(150, 950),
            cost_usd=rng.uniform(0.0002, 0.0055), quality=rng.uniform(0.75, 0.99),
        )
    ]  # fmt: skip
    return after_rounds(rows, rows, rows)


def leader(card: Scorecard, policy: Policy = POLICY, **update: Any) -> Target:
    return router.plan(config(**update), TARGETS, card, {}, policy, START).ties[0]


def with_figure(card: Scorecard, target: Target, name: str, value: float, policy: Policy = POLICY) -> Scorecard:
    """The card, were this what all its answers took, cost or were graded."""
    known, objective = card.evidence[target], policy.objective
    changed: Mapping[str, Evidence] = {
        "latencyMs": replace(known, latency_ms=value, late=known.late.at(value / objective.latency_ref_ms, 100)),
        "costUsd": replace(known, cost_usd=value, dear=known.dear.at(value / objective.cost_ref_usd, 100)),
        "quality": replace(known, quality=value),
    }
    return replace(card, evidence={**card.evidence, target: changed[name]})


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("seed", range(8))
def test_the_parts_of_a_score_add_up_to_it_as_it_is_shown(seed: int, weights: dict[str, float] | None) -> None:
    for each in shown(mixed(seed, 0.2), **({"weights": weights} if weights else {})):
        if each["score"] is not None:
            assert round(sum(each["parts"].values()), 4) == each["score"]
            gap = each["gap"]
            assert round(gap["latency"] + gap["cost"] + gap["reliability"], 4) == gap["score"]


@pytest.mark.parametrize("weights", [None, WEIGHTS, {"latency": 0.1, "cost": 0.1, "reliability": 0.8}])
@pytest.mark.parametrize("seed", range(12))
def test_put_in_the_figure_at_which_the_lead_changes_and_it_does(seed: int, weights: dict[str, float] | None) -> None:
    """A hair beyond it: who leads does not any more, and who does not leads. A hair before it nothing changes."""
    update = {"weights": weights} if weights else {}
    card = mixed(seed, 0.1)
    first = leader(card, **update)
    found = []
    for each in shown(card, **update):
        target = Target(each["provider"], each["model"])
        for name, value in (each["turn"] or {}).items():
            if value is None:
                continue
            found.append(name)
            hair = {"latencyMs": 0.2, "costUsd": 2e-6, "quality": 0.0005}[name]
            worse, better = (value - hair, value + hair) if name == "quality" else (value + hair, value - hair)
            assert leader(with_figure(card, target, name, worse), **update) != target
            assert leader(with_figure(card, target, name, better), **update) == target
            assert (target == first) == (leader(card, **update) == target)
    assert found


def test_the_sentence_says_by_how_much_in_what_and_until_when() -> None:
    """s = (.4·(1 − l) + .3·(1 − c) + S·Q) / 1.7; the gate shuts at .75·.88 − 2·.02, before the score is overtaken."""
    rows = [
        *calls(DEEPSEEK, 10, latency_ms=240.0, cost_usd=0.0003, quality=0.84),
        *calls(OPENAI, 10, latency_ms=520.0, cost_usd=0.004, quality=0.88),
    ]

    first, second = shown(after_rounds(rows))[:2]

    assert first["parts"] == {"latency": 0.1788, "cost": 0.1677, "reliability": 0.4941}
    assert first["gap"]["to"] == "openai/m"
    assert first["why"] == (
        "first by .151 over openai: +.066 latency (240 vs 520 ms), +.109 cost ($0.0003 vs $0.004), "
        "−.024 success × quality (.84 vs .88); would lose the lead at 882 ms, or $0.00544, or below quality .62"
    )
    assert second["why"].startswith(".151 behind deepseek: −.066 latency (520 vs 240 ms)")


@pytest.mark.parametrize("weights", [None, WEIGHTS, {"latency": 0.1, "cost": 0.8, "reliability": 0.1}])
def test_who_is_first_is_ahead_of_the_one_that_the_gap_is_to(weights: dict[str, float] | None) -> None:
    """Of scores that are apart it is the next score, however much more utility another one has."""
    apart = 0
    for seed in range(40):
        first = shown(mixed(seed), **({"weights": weights} if weights else {}))[0]
        if first["why"].startswith("first by .") and "of utility" not in first["why"].partition(":")[0]:
            apart += 1
            assert first["why"].partition(":")[0].endswith(f"over {first['gap']['to'].partition('/')[0]}"), seed
    assert apart >= 10


def test_what_lately_differs_from_what_counts_is_said() -> None:
    card = after_rounds(*[table({DEEPSEEK: 240, GEMINI: 500})] * 8, table({DEEPSEEK: 240, GEMINI: 600}))
    known = card.evidence[GEMINI]
    card = replace(card, evidence={**card.evidence, GEMINI: replace(known, latency_ms=900.0)})

    why = shown(card)[0]["why"]

    assert "(counts as 240 vs " in why
    assert "lately 240 vs 900 ms)" in why


def test_near_scores_are_told_by_what_decides_between_them() -> None:
    near = shown(after_rounds(table({DEEPSEEK: 350, GEMINI: 352, OPENAI: 900})))
    close = shown(after_rounds(table({DEEPSEEK: 350, GEMINI: 380, OPENAI: 900})))

    assert near[0]["why"].startswith("shares first place with gemini, .000 away")
    assert near[1]["why"].startswith("shares first place with deepseek")
    assert close[0]["why"].startswith("first by .012 of utility over gemini, as their scores ")


def test_who_never_answered_has_no_score_and_no_first_place() -> None:
    silent = shown(after_rounds(calls(DEEPSEEK, 10, success=0.0)))
    beside = shown(after_rounds([*calls(DEEPSEEK, 1, success=0.0), *calls(GEMINI, 10, latency_ms=900.0)]))

    assert (silent[0]["score"], silent[0]["parts"], silent[0]["why"]) == (None, None, "")
    assert silent[0]["reasons"] == ["it has not answered yet"]
    assert [each["provider"] for each in beside[:1]] == ["gemini"]
    assert next(x for x in beside if x["provider"] == "deepseek")["reasons"] == ["it has not answered yet"]


def test_with_nobody_to_compare_the_first_is_first_and_nothing_else_is_said() -> None:
    (only,) = [each for each in shown(after_rounds(table({DEEPSEEK: 240}))) if each["score"] is not None]

    assert only["why"] == "first: no other target can be compared with it"
    assert (only["gap"], only["turn"]) == (None, None)


def test_an_explanation_of_a_hundred_targets_stays_small() -> None:
    many = tuple(Target("acme", f"m{n}") for n in range(100))
    card = after_rounds(table({target: 200.0 + n for n, target in enumerate(many)}))
    made = router.plan(config(), many, card, {}, POLICY, later(hours=1))
    written = router.explanation_json(made, router.route(made, random.Random(1), START))

    assert (len(written["candidates"]), written["candidatesLeftOut"]) == (24, 76)
    assert written["weights"] == {"latency": 0.4, "cost": 0.3, "reliability": 0.3}

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.catalog import Target
from app.domain.config.runtime_config import Weights
from app.domain.evidence.scorecard import Scorecard
from app.domain.optimizer import insights, optimizer
from app.domain.optimizer.optimizer import Optimization, OptimizerState
from app.domain.optimizer.round_table import RoundTable, table_of
from app.domain.outcome import Outcome
from app.domain.policy import Objective, Policy
from app.domain.rounds.measurement import own_trouble
from app.domain.routing import scoring
from tests.domain.small_world import ANTHROPIC, DEEPSEEK, GEMINI, OPENAI, POLICY, START, TARGETS, calls, outcome, table

SPECIFIED = {DEEPSEEK: 240.0, GEMINI: 350.0, ANTHROPIC: 450.0, OPENAI: 520.0}
LIMITS = POLICY.weights


@dataclass
class Loop:
    """Round after round, as the benchmark runs them."""

    weights: Weights = field(default_factory=Weights)
    rate: float = 0.10
    card: Scorecard = field(default_factory=Scorecard.empty)
    state: OptimizerState = field(default_factory=OptimizerState.empty)
    policy: Policy = POLICY

    def round(self, outcomes: Sequence[Outcome], *, complete: bool = True, trimmed: bool = False) -> Optimization:
        before = self.card
        if own_trouble(outcomes) is None:
            self.card = before.close_round(outcomes, self.policy)
        result = optimizer.optimize(
            self.state, before, self.card, outcomes, self.weights, self.rate, self.policy,
            complete=complete, trimmed=trimmed, now=START,
        )  # fmt: skip
        self.state, self.weights, self.rate = result.state, result.weights, result.exploration_rate
        return result


def triple(weights: Weights) -> tuple[float, float, float]:
    return (weights.latency, weights.cost, weights.reliability)


def texts(result: Optimization) -> str:
    return "\n".join(insight.text for insight in result.insights)


def test_worked_example_1_ends_in_the_specified_weights_and_stays_there() -> None:
    rows = [
        *calls(DEEPSEEK, 100, success=0.98, latency_ms=240),
        *calls(GEMINI, 100, success=0.96, latency_ms=350),
        *calls(ANTHROPIC, 100, success=0.99, latency_ms=450),
        *calls(OPENAI, 100, success=0.97, latency_ms=520),
    ]
    loop = Loop()

    first = loop.round(rows)

    assert triple(first.weights) == (0.5, 0.2, 0.3)
    assert first.evidence["spread"] == pytest.approx(0.718, abs=0.001)
    assert "weights (.40, .30, .30) → (.50, .20, .30): latency spread .718 is above .25" in texts(first)
    for _ in range(5):
        assert triple(loop.round(rows).weights) == (0.5, 0.2, 0.3)


def test_worked_example_2_a_slower_provider_raises_exploration_which_then_fades() -> None:
    loop = Loop()
    loop.round(table(SPECIFIED))

    slower = loop.round(table({**SPECIFIED, DEEPSEEK: 450}))

    assert slower.exploration_rate == pytest.approx(0.15)
    assert "deepseek latency 450 ms, was 240 ms (×1.88): exploration .10 → .15" in texts(slower)
    rates = [loop.round(table({**SPECIFIED, DEEPSEEK: 400})).exploration_rate for _ in range(7)]
    assert rates[:3] == [pytest.approx(0.125), pytest.approx(0.1125), pytest.approx(0.1062, abs=2e-4)]
    assert rates[-1] == pytest.approx(0.10)


def test_an_unreliable_provider_raises_exploration_and_the_weight_of_reliability() -> None:
    result = Loop().round([*table({GEMINI: 300, OPENAI: 310}), *calls(DEEPSEEK, 10, success=0.5, latency_ms=300)])

    assert result.exploration_rate == pytest.approx(0.15)
    assert "deepseek success 50% is below 80%" in texts(result)
    assert result.weights.reliability > 0.3


def test_one_failure_among_ten_calls_is_chance_and_one_in_ten_of_hundreds_is_not() -> None:
    def reliability(count: int) -> float:
        rows = [*table({GEMINI: 300, OPENAI: 310}, count), *calls(DEEPSEEK, count, success=0.88, latency_ms=300)]
        return Loop().round(rows).weights.reliability

    assert reliability(10) == pytest.approx(0.3)
    assert reliability(500) > 0.3


def test_a_partial_round_moves_no_weights() -> None:
    result = Loop().round(table(SPECIFIED), complete=False)

    assert triple(result.weights) == (0.4, 0.3, 0.3)
    assert "nothing moves" in texts(result)
    assert result.state.tables == ()


def test_a_partial_round_leaves_exploration_alone() -> None:
    loop = Loop()
    loop.round(table(SPECIFIED))

    assert loop.round(table({**SPECIFIED, DEEPSEEK: 900}), complete=False).exploration_rate == 0.10


#: the same targets at prompts that take three times as long
LONG = {target: 3 * latency_ms for target, latency_ms in SPECIFIED.items()}


def test_trimmed_rounds_that_share_the_prompts_among_them_move_weights_as_full_ones_do() -> None:
    loop = Loop()
    first = [loop.round(table(prompts, 5), trimmed=True) for prompts in (SPECIFIED, LONG)]
    later = [loop.round(table(prompts, 5), trimmed=True) for prompts in (SPECIFIED, LONG) * 4]

    assert triple(first[0].weights) == (0.5, 0.2, 0.3)
    assert {triple(result.weights) for result in later} == {(0.5, 0.2, 0.3)}
    assert {result.exploration_rate for result in (*first, *later)} == {0.10}


def test_prompts_that_take_longer_make_no_target_slow_but_a_target_that_takes_longer_than_the_others_is() -> None:
    loop = Loop()
    loop.round(table(SPECIFIED))

    result = loop.round(table({**LONG, GEMINI: 2 * LONG[GEMINI]}, 5), trimmed=True)

    assert result.exploration_rate == pytest.approx(0.15)
    assert "gemini latency 2100 ms, with these prompts expected 1050 ms (×2.00): exploration .10 → .15" in texts(result)
    assert [insight.kind for insight in result.insights].count("latency") == 1


def test_a_trimmed_round_without_an_answer_compares_nothing() -> None:
    loop = Loop()
    loop.round(table(SPECIFIED))

    result = loop.round([each for t in TARGETS for each in calls(t, 5, success=0.0)], trimmed=True)

    assert not {"reliability", "latency"} & {insight.kind for insight in result.insights}


def test_no_weight_moves_further_than_its_step() -> None:
    loop = Loop(weights=Weights(latency=0.1, cost=0.45, reliability=0.45))
    loop.state = replace(loop.state, own_weights=(0.1, 0.45, 0.45))

    moved = triple(loop.round(table(SPECIFIED)).weights)

    assert moved[0] == pytest.approx(0.2)


#: more weight on latency picks deepseek, which was worth little
KNOWN = {"deepseek/m": (1.0, 0.1, 0.9), "gemini/m": (0.5, 0.9, 0.9)}
WORTH = {"deepseek/m": 0.2, "gemini/m": 0.8}


def known_rounds(count: int, scatter: float = 0.05) -> tuple[RoundTable, ...]:
    """Ten prompts, of which gemini is worth .8 and deepseek .2, each with its own deviation, the same in each round."""
    worth = {name: [value + scatter * (p % 3 - 1) * (p % 2) for p in range(10)] for name, value in WORTH.items()}
    worth["gemini/m"] = worth["gemini/m"][::-1]
    rows = {name: {f"p{p}": value for p, value in enumerate(values)} for name, values in worth.items()}
    return (table_of(KNOWN, WORTH, rows),) * count


def test_a_proposal_that_would_have_earned_less_is_not_taken_and_not_made_again() -> None:
    # at (.4, .3, .3) gemini would be chosen, with more weight on latency deepseek
    loop = Loop(state=OptimizerState(tables=known_rounds(3)))

    result = loop.round(table(SPECIFIED))

    assert triple(result.weights) == (0.4, 0.3, 0.3)
    assert result.evidence["verdict"] == "contradicted"
    assert "weights stay (.40, .30, .30): latency spread .718 is above .25, but others would have earned .600 less" in (
        texts(result)
    )
    loop.state = replace(loop.state, tables=())  # what contradicted it is forgotten: nobody pushes again
    assert [loop.round(table(SPECIFIED)).evidence["verdict"] for _ in range(4)] == ["kept"] * 4


def test_weights_nearby_that_would_have_earned_clearly_more_are_taken() -> None:
    loop = Loop(weights=Weights(latency=0.5, cost=0.3, reliability=0.2), state=OptimizerState(tables=known_rounds(3)))
    loop.state = replace(loop.state, own_weights=triple(loop.weights))

    result = loop.round(table(SPECIFIED))

    assert result.evidence["verdict"] == "better"
    assert triple(result.weights) == (0.4, 0.3, 0.3)  # of those that choose the same the one nearest to the base
    assert re.search(r"they would have earned \.600 more per call \(between \.5\d\d and \.6\d\d\)", texts(result))
    (moved,) = [insight for insight in result.insights if insight.kind == "weights"]
    assert moved.data["gain"] == pytest.approx(0.6)
    assert 0.5 < moved.data["low"] < 0.6 < moved.data["high"] < 0.7
    assert (moved.data["rounds"], moved.data["prompts"]) == (3, 10)


def test_two_rounds_may_be_that_hours_weather() -> None:
    loop = Loop(weights=Weights(latency=0.5, cost=0.2, reliability=0.3), state=OptimizerState(tables=known_rounds(2)))
    loop.state = replace(loop.state, own_weights=triple(loop.weights), spoken=True)

    assert loop.round(table(SPECIFIED)).evidence["verdict"] == "kept"


def after_a_move(scatter: float) -> Loop:
    moved = OptimizerState(
        tables=known_rounds(3, scatter), previous=(0.4, 0.4, 0.2), spoken=True, own_weights=(0.5, 0.3, 0.2)
    )  # fmt: skip
    return Loop(weights=Weights(latency=0.5, cost=0.3, reliability=0.2), state=moved)


def test_a_move_that_turns_out_to_cost_is_undone_and_not_made_again() -> None:
    loop = after_a_move(0.05)

    rolled_back = loop.round(table({DEEPSEEK: 240, GEMINI: 350}))
    later = [loop.round(table({DEEPSEEK: 240, GEMINI: 350})) for _ in range(8)]

    assert triple(rolled_back.weights) == (0.4, 0.4, 0.2)
    assert rolled_back.evidence["verdict"] == "rolled_back"
    assert "(.50, .30, .20) → (.40, .40, .20): the older weights would have earned .600 more per call (between" in (
        texts(rolled_back)
    )
    assert {(triple(each.weights), each.evidence["verdict"]) for each in later} == {((0.4, 0.4, 0.2), "kept")}


def test_a_loss_that_may_be_chance_undoes_nothing() -> None:
    assert after_a_move(0.1).round(table({DEEPSEEK: 240, GEMINI: 350})).evidence["verdict"] == "rolled_back"
    assert after_a_move(2.0).round(table({DEEPSEEK: 240, GEMINI: 350})).evidence["verdict"] == "kept"


def identical(rng: random.Random, prompts: Sequence[float]) -> list[Outcome]:
    """Targets that differ in name alone; grades of standard deviation .25 about those of the prompts."""
    return [
        replace(
            outcome(
                target,
                400 * math.exp(rng.gauss(0, 0.25)),
                success=rng.random() < 0.98,
                cost_usd=0.002,
                quality=min(1.0, max(0.0, rng.gauss(mean, 0.25))),
            ),
            prompt_id=f"p{place}",
        )
        for target in TARGETS
        for place, mean in enumerate(prompts)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_between_targets_that_are_the_same_nothing_moves_but_the_rules_proposal(seed: int) -> None:
    rng, loop, moved = random.Random(seed), Loop(), []
    for _ in range(48):
        before = triple(loop.weights)
        result = loop.round(identical(rng, [0.5 + 0.04 * p for p in range(10)]))
        if triple(result.weights) != before:
            moved.append(result.evidence["verdict"])
        assert not [each.text for each in result.insights if each.kind == "objective"]

    assert moved in ([], ["proposed"])


def test_what_the_weights_cannot_repair_is_said() -> None:
    loop = Loop(weights=Weights(latency=0.8, cost=0.15, reliability=0.05))
    rows = [
        *numbered(calls(DEEPSEEK, 10, latency_ms=90, cost_usd=0.00005, quality=0.76)),
        *numbered(calls(GEMINI, 10, latency_ms=300, cost_usd=0.001, quality=1.0)),
    ]  # fmt: skip
    said = [each for _ in range(5) for each in loop.round(rows).insights if each.kind == "objective"]

    assert said[-1].text.startswith("by your objective gemini is worth .108 more per call than deepseek")
    assert re.search(r", which your weights prefer \(between \.\d{3} and \.\d{3}\)$", said[-1].text)
    assert (said[-1].data["target"], said[-1].data["preferred"]) == ("gemini", "deepseek")
    assert 0 < said[-1].data["low"] < said[-1].data["gain"] < said[-1].data["high"]


def test_a_reference_that_most_answers_lie_beyond_is_named_with_a_better_one() -> None:
    slow = Loop().round(table({DEEPSEEK: 1500, GEMINI: 2500, ANTHROPIC: 4000, OPENAI: 900}, cost_usd=0.001))
    dear = Loop().round(table({DEEPSEEK: 240, GEMINI: 350}, cost_usd=0.02))

    assert (
        "30 of 40 answers took longer than 1000 ms, beyond which slower is not worse by your objective: "
        "declare another latency_ref_ms in policy.toml, such as 4000, or none, and it is learned"
    ) in texts(slow)
    assert "20 of 20 answers cost more than 0.006 USD" in texts(dear)
    assert "such as 0.04" in texts(dear)
    assert "declare" not in texts(Loop().round(table(SPECIFIED)))


def test_references_that_nobody_declared_are_what_is_usual_here_and_every_change_is_said() -> None:
    loop = Loop(policy=replace(POLICY, objective=Objective(latency_ref_ms=0.0, cost_ref_usd=0.0)))
    rows = table({DEEPSEEK: 1500, GEMINI: 2500, ANTHROPIC: 4000, OPENAI: 900}, cost_usd=0.0001)
    first, second, _ = (loop.round(rows) for _ in range(3))

    assert "latency_ref_ms is 3000 ms: twice what is usual here, 1500 ms, as policy.toml declares none" in texts(first)
    assert "cost_ref_usd is $0.0002: twice what is usual here, $0.0001" in texts(first)
    assert "reference" not in {each.kind for each in second.insights}
    assert len(loop.state.tables) == 2
    for _ in range(4):
        last = loop.round(table({DEEPSEEK: 15000, GEMINI: 25000, ANTHROPIC: 40000, OPENAI: 9000}, cost_usd=0.0001))
    assert "(was " in texts(last)
    assert len(loop.state.tables) == 1  # the older ones tell what another objective made of those rounds


def numbered(rows: Sequence[Outcome]) -> list[Outcome]:
    return [replace(each, prompt_id=f"p{place}") for place, each in enumerate(rows)]


def test_an_outage_in_a_round_moves_no_weights() -> None:
    loop, others = Loop(), {GEMINI: 350.0, ANTHROPIC: 450.0, OPENAI: 520.0}
    prices = {DEEPSEEK: 0.0003, GEMINI: 0.0002, ANTHROPIC: 0.006, OPENAI: 0.004}
    for _ in range(3):
        loop.round([each for t in SPECIFIED for each in table({t: SPECIFIED[t]}, cost_usd=prices[t])])
    before = triple(loop.weights)

    rows = [each for t in others for each in table({t: others[t]}, cost_usd=prices[t])]
    down = loop.round([*calls(DEEPSEEK, 10, success=0.0), *rows])

    assert triple(down.weights) == before
    assert "deepseek/m" not in down.state.tables[-1].utilities
    assert down.evidence["targets"]["deepseek"]["success"] == 0  # it is told all the same


def test_three_failures_of_ten_are_no_outage() -> None:
    loop = Loop()
    loop.round(table(SPECIFIED))

    loop.round([*calls(DEEPSEEK, 10, success=0.7, latency_ms=240), *table({GEMINI: 350, ANTHROPIC: 450, OPENAI: 520})])

    assert loop.state.tables[-1].utilities.keys() == {str(target) for target in TARGETS}


def test_weights_that_a_person_set_are_where_the_optimizer_starts_from() -> None:
    loop = Loop()
    loop.round(table(SPECIFIED))
    loop.weights = Weights(latency=0.2, cost=0.6, reliability=0.2)

    moved = triple(loop.round(table(SPECIFIED)).weights)

    assert moved == (pytest.approx(0.3), pytest.approx(0.5), pytest.approx(0.2))
    assert triple(loop.round(table(SPECIFIED)).weights) == moved


def test_weights_far_from_the_policys_that_stand_at_the_start_were_set_by_a_person() -> None:
    loop = Loop(weights=Weights(latency=0.1, cost=0.8, reliability=0.1))

    moved = triple(loop.round(table(SPECIFIED)).weights)

    assert moved == (pytest.approx(0.2), pytest.approx(0.7), pytest.approx(0.1))


def test_a_proposal_that_is_not_applied_is_made_again_and_drifts_nowhere() -> None:
    """autoOptimization off: what we propose stays a proposal, and is no reason to take the old weights for new ones."""
    loop = Loop()
    for _ in range(4):
        result = loop.round(table(SPECIFIED))
        loop.weights, loop.rate = Weights(), 0.10

        assert triple(result.weights) == (0.5, 0.2, 0.3)
        assert result.state.base_weights is None


def test_a_round_of_a_single_target_moves_no_weights() -> None:
    loop = Loop()
    loop.round(table(SPECIFIED))

    assert triple(loop.round(table({DEEPSEEK: 240})).weights) == (0.5, 0.2, 0.3)


def test_targets_that_are_not_measured_any_more_have_no_say() -> None:
    loop = Loop()
    loop.round([*table(SPECIFIED), *calls(Target("gone", "m"), 10, latency_ms=1)])

    result = loop.round(table(dict.fromkeys(TARGETS, 300.0)))

    assert "Best provider: gone" not in texts(result)
    assert result.evidence["spread"] < 0.25


def test_targets_of_a_provider_with_several_models_are_named_in_full() -> None:
    two = {Target("groq", "small"): 100.0, Target("groq", "large"): 300.0, OPENAI: 500.0}

    result = Loop().round(table(two))

    assert "Best provider: groq/small (score: " in texts(result)
    assert set(result.evidence["targets"]) == {"groq/small", "groq/large", "openai"}


def test_an_exploration_rate_that_a_person_set_is_the_new_base() -> None:
    loop = Loop()
    loop.round(table(SPECIFIED))
    loop.rate = 0.05

    assert loop.round(table(SPECIFIED)).exploration_rate == pytest.approx(0.05)
    assert loop.round(table({**SPECIFIED, DEEPSEEK: 900})).exploration_rate == pytest.approx(0.10)
    assert loop.round(table(SPECIFIED)).exploration_rate == pytest.approx(0.075)


@pytest.mark.parametrize(
    ("latencies", "expected"),
    [
        ({DEEPSEEK: 100.0, GEMINI: 900.0}, 1.0),  # served by the best
        ({DEEPSEEK: 900.0, GEMINI: 100.0}, 0.0),  # served by the worst: no better than at random
        ({DEEPSEEK: 500.0, GEMINI: 500.0}, 1.0),  # all as good
    ],
)
def test_the_optimization_score_compares_what_was_served_with_the_best(latencies: dict, expected: float) -> None:
    loop = Loop()
    loop.round(table({DEEPSEEK: 100, GEMINI: 900}))  # deepseek is served from then on

    result = loop.round(table(latencies))

    assert result.score is not None
    assert (result.score.value, result.score.samples) == (expected, 20)
    assert result.score.low <= expected <= result.score.high


def test_the_best_provider_is_named_with_its_score() -> None:
    assert "Best provider: deepseek (score: " in texts(Loop().round(table(SPECIFIED)))


def test_a_round_in_which_everything_fails_is_our_own_trouble_and_moves_nothing() -> None:
    loop = Loop()
    loop.round(table(SPECIFIED))
    before = loop.state, loop.weights, loop.rate

    result = loop.round([outcome(target, success=False) for target in TARGETS])

    assert (result.state.tables, loop.weights, loop.rate) == (before[0].tables, *before[1:])
    assert result.score is None
    assert "our own trouble, not the providers': nothing moves" in texts(result)


BROKEN = replace(outcome(DEEPSEEK, 80.0, success=False), error_class="bad_key")


def test_a_bad_key_is_no_evidence_and_is_named_as_what_a_person_must_mend() -> None:
    loop = Loop()
    even = {GEMINI: 300.0, OPENAI: 310.0, ANTHROPIC: 305.0}
    loop.round(table({DEEPSEEK: 240, **even}))
    before = loop.weights

    result = loop.round([*[BROKEN] * 10, *table(even)])

    assert (loop.weights, loop.rate) == (before, 0.10)
    assert set(result.evidence["targets"]) == {"gemini", "openai", "anthropic"}
    (said,) = [each for each in result.insights if each.kind == "needs_person"]
    assert said.text == (
        "deepseek needs a person: its key is refused (m; 10 calls): "
        "put a valid key into the variable that config/providers.toml names, and start TooLoo again"
    )
    (named,) = insights.needs_person([BROKEN], {"deepseek": "DEEPSEEK_API_KEY"})
    assert named.text.endswith("put a valid key into DEEPSEEK_API_KEY, and start TooLoo again")
    assert said.data == {
        "provider": "deepseek", "models": ["m"], "error": "bad_key", "calls": 10, "do": said.data["do"],
    }  # fmt: skip
    assert "Best provider: deepseek" not in texts(result)
    assert result.score is not None
    assert result.score.value == 1
    assert scoring.gate(loop.card.evidence, POLICY)[DEEPSEEK] == "needs a person: bad_key"
    assert loop.card.evidence[DEEPSEEK].latency_ms == pytest.approx(240)

    loop.round(table({DEEPSEEK: 240, **even}))
    assert DEEPSEEK not in scoring.gate(loop.card.evidence, POLICY)


def test_bad_keys_everywhere_are_not_our_network() -> None:
    result = Loop().round([replace(BROKEN, target=target) for target in TARGETS for _ in range(3)])

    assert [each.kind for each in result.insights] == ["needs_person"] * 4


def test_partial_rounds_leave_the_optimization_score_alone() -> None:
    loop = Loop()
    loop.round(table(SPECIFIED))

    assert loop.round(table(SPECIFIED), complete=False).score is None


def test_a_round_without_any_outcome_breaks_nothing() -> None:
    assert triple(Loop().round([], complete=False).weights) == (0.4, 0.3, 0.3)


def test_a_target_that_joins_later_is_taken_up() -> None:
    loop = Loop()
    loop.round(table({DEEPSEEK: 240, GEMINI: 300}))

    result = loop.round(table({DEEPSEEK: 240, GEMINI: 300, OPENAI: 100}))

    assert "Best provider: openai" in texts(result)


rounds = st.lists(
    st.lists(
        st.builds(
            outcome,
            st.sampled_from(TARGETS),
            st.floats(1, 30_000),
            success=st.booleans(),
            cost_usd=st.none() | st.floats(0, 0.1),
            quality=st.none() | st.floats(0, 1),
        ),
        max_size=12,
    ),
    max_size=8,
)


@given(rounds)
def test_whatever_is_measured_weights_stay_weights_and_the_state_survives_json(history: list) -> None:
    loop = Loop()
    for outcomes in history:
        result = loop.round(outcomes)
        weights = triple(result.weights)
        assert sum(weights) == pytest.approx(1.0, abs=1e-6)
        assert min(weights) >= LIMITS.floor - 1e-6
        assert all(abs(w - b) <= LIMITS.radius + 1e-6 for w, b in zip(weights, LIMITS.base, strict=True))
        assert 0 <= result.exploration_rate <= 0.15 + 1e-9
        assert result.score is None or 0 <= result.score.low <= result.score.value <= result.score.high <= 1
        assert OptimizerState.from_json(json.loads(json.dumps(loop.state.to_json()))) == loop.state
        json.dumps(result.evidence)


@pytest.mark.parametrize(
    "document", [[], {"tables": 5}, {"tables": [{}]}, {"previous": 3}, {"own_weights": [1, 2]}, {"excess": "x"}]
)
def test_what_is_no_optimizer_state_is_said_to_be_none(document: object) -> None:
    with pytest.raises(ValueError, match="optimizer state"):
        OptimizerState.from_json(document)


def test_who_only_failed_is_not_praised_nor_is_anybody_in_a_part_of_a_round() -> None:
    only = Loop().round(calls(DEEPSEEK, 10, success=0.0))
    beside = Loop().round([*calls(DEEPSEEK, 10, success=0.0), *table({GEMINI: 900.0})])
    part = Loop().round(table({GEMINI: 300.0}), complete=False)

    assert [each.text for each in only.insights if each.kind == "best"] == []
    (best,) = [each for each in beside.insights if each.kind == "best"]
    assert best.text.startswith("Best provider: gemini (score: ")
    assert [each.text for each in part.insights if each.kind == "best"] == []

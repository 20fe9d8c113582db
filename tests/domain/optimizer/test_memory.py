"""What revisions tell of the optimizer's memory, beside what it remembers itself."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from app.domain.catalog import Target
from app.domain.config.runtime_config import Weights
from app.domain.optimizer import between_rounds, memory, standing, weight_moves
from app.domain.optimizer.memory import Change
from app.domain.optimizer.optimizer import OptimizerState
from tests.domain.optimizer.test_optimizer import Loop
from tests.domain.small_world import DEEPSEEK, GEMINI, OPENAI, POLICY, calls, outcome, same_memory, table

EVENTS = {
    "spread": [*table({GEMINI: 240, OPENAI: 300, DEEPSEEK: 600}, cost_usd=0.001)],
    "even": [*table({GEMINI: 300, OPENAI: 300, DEEPSEEK: 310})],
    "failing": [*table({GEMINI: 300, OPENAI: 310}), *calls(DEEPSEEK, 10, success=0.3, latency_ms=300)],
    "fast but poor": [
        *table({GEMINI: 900, OPENAI: 800}, quality=1.0),
        *calls(DEEPSEEK, 10, latency_ms=100, quality=0.8, cost_usd=0.006),
    ],
    "cheap but slow": [
        *table({GEMINI: 100, OPENAI: 120}, cost_usd=0.006),
        *calls(DEEPSEEK, 10, latency_ms=990, cost_usd=0.0001),
    ],
}
PEOPLE = ("a person's weights", "a person's rate")


def remembered(names: list[str]) -> tuple[OptimizerState, OptimizerState]:
    """After these events: the memory itself, and what rounds and revisions tell of it."""
    loop, told = Loop(), OptimizerState.empty()
    changes = [Change(weight_moves.of_weights(loop.weights), loop.rate)]
    for number, name in enumerate(names):
        if name in PEOPLE:
            if name == "a person's weights":
                loop.weights = Weights(latency=0.2, cost=0.2, reliability=0.6)
            else:
                loop.rate = 0.3 + number / 1000
            changes.append(Change(weight_moves.of_weights(loop.weights), loop.rate))
        elif name == "live calls":
            loop.card = loop.card.observe([outcome(DEEPSEEK, 2000.0)] * 30, POLICY)
            found = between_rounds.optimize(loop.state, loop.card, loop.weights, loop.rate, POLICY)
            if found is not None:
                loop.state, loop.weights, loop.rate = found.state, found.weights, found.exploration_rate
                verdict = str(found.evidence["verdict"])
                changes.append(Change(weight_moves.of_weights(loop.weights), loop.rate, verdict))
        else:
            partial = name == "partial"
            rows = EVENTS["spread" if partial else name]
            before = loop.card
            result = loop.round(rows, complete=not partial)
            told = told if partial else memory.with_round(told, before, loop.card, rows, loop.policy)
            changes.append(Change(weight_moves.of_weights(loop.weights), loop.rate, str(result.evidence["verdict"])))
    return loop.state, memory.with_changes(told, changes, POLICY)


@given(st.lists(st.sampled_from([*EVENTS, *PEOPLE, "live calls", "partial"]), max_size=12))
def test_rounds_and_revisions_tell_all_that_the_optimizer_remembers(names: list[str]) -> None:
    itself, told = remembered(names)

    assert same_memory(told, itself), (told, itself)


def test_nobody_has_done_anything_yet() -> None:
    assert remembered([]) == (OptimizerState.empty(), OptimizerState.empty())


def test_what_evidence_has_said_is_in_the_told_memory_as_in_the_own() -> None:
    moved = (0.5, 0.2, 0.3)
    changes = [
        Change((0.4, 0.3, 0.3), 0.1),
        Change(moved, 0.1, "proposed"),
        Change(moved, 0.1, "kept"),
        Change((0.4, 0.3, 0.3), 0.1, "rolled_back"),
        Change((0.4, 0.3, 0.3), 0.1, "held"),  # a word of an older release's
    ]

    first, later = (memory.with_changes(OptimizerState.empty(), changes[:n], POLICY) for n in (3, 5))

    assert (first.previous, first.spoken) == ((0.4, 0.3, 0.3), True)
    assert (later.previous, later.spoken) == (None, True)


def test_a_contradicted_proposal_is_in_the_told_memory() -> None:
    changes = [Change((0.4, 0.3, 0.3), 0.1), Change((0.4, 0.3, 0.3), 0.1, "contradicted")]

    assert memory.with_changes(OptimizerState.empty(), changes, POLICY).spoken


def test_what_an_older_release_remembered_is_read_and_its_tables_tell_nothing() -> None:
    old = {
        "excess": 0.05, "base_rate": 0.1, "previous": [0.4, 0.3, 0.3], "rounds_since": 2, "hold": 1,
        "tables": [{"features": {"a/m": [1, 1, 1]}, "utilities": {"a/m": 0.5}, "errors": {"a/m": 0.1}}] * 6,
        "given_weights": [0.4, 0.3, 0.3], "own_weights": [0.5, 0.2, 0.3], "given_rate": 0.1, "own_rate": 0.1,
        "base_weights": None,
    }  # fmt: skip

    state = OptimizerState.from_json(old)

    assert (state.previous, state.spoken, len(state.tables)) == ((0.4, 0.3, 0.3), False, 6)
    assert standing.score((0.4, 0.3, 0.3), state.tables, POLICY.weights) is None


def test_the_memory_of_many_targets_and_prompts_stays_small() -> None:
    targets = [Target(f"provider-{n}", "model") for n in range(30)]
    loop = Loop()
    for _ in range(9):
        loop.round([replace(outcome(t, 300.0), prompt_id=f"prompt-{p}") for t in targets for p in range(100)])

    assert len(loop.state.tables) == POLICY.weights.horizon_rounds
    assert len(json.dumps(loop.state.to_json())) < 250_000

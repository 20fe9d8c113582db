"""Live evidence alone: what moves between rounds, and what is no reason to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.domain.catalog import Target
from app.domain.optimizer import between_rounds
from app.domain.optimizer.optimizer import Optimization
from app.domain.outcome import Outcome, Source
from tests.domain.optimizer.test_optimizer import SPECIFIED, Loop, texts, triple
from tests.domain.small_world import DEEPSEEK, POLICY, TARGETS, outcome, table


def after(loop: Loop, outcomes: Sequence[Outcome]) -> Optimization | None:
    card = loop.card.observe([replace(each, source=Source.LIVE) for each in outcomes], POLICY)
    return between_rounds.optimize(loop.state, card, loop.weights, loop.rate, POLICY)


def settled() -> Loop:
    loop = Loop()
    for _ in range(3):
        loop.round(table(SPECIFIED))
    return loop


def failures(error: str, targets: Sequence[Target]) -> list[Outcome]:
    return [replace(outcome(target, 80.0, success=False), error_class=error) for target in targets for _ in range(12)]


SERVED = [outcome(DEEPSEEK, 240.0)] * 20


def test_a_target_that_fails_now_and_then_raises_exploration() -> None:
    result = after(settled(), [*SERVED, *[SERVED[0], *failures("server_error", [DEEPSEEK])[:3]] * 10])

    assert result is not None
    assert "deepseek success" in texts(result)
    assert result.exploration_rate > 0.1


def test_a_key_that_is_refused_now_and_then_raises_nothing() -> None:
    assert after(settled(), [*SERVED, *[SERVED[0], *failures("bad_key", [DEEPSEEK])[:3]] * 10]) is None


def test_what_fails_everywhere_at_the_moment_is_our_own_trouble() -> None:
    served = [outcome(target, 240.0) for target in TARGETS for _ in range(20)]
    lost = failures("connection_lost", TARGETS)
    spells = [each for t in TARGETS for each in [outcome(t, 240.0), *failures("connection_lost", [t])[:3]] * 10]

    assert after(settled(), [*served, *spells, *lost]) is None
    recovered = after(settled(), [*served, *spells, *lost, outcome(DEEPSEEK, 240.0)])
    assert recovered is not None  # somebody serves: what the others have is theirs


def test_weights_stand_as_they_do_after_a_round() -> None:
    loop = settled()
    assert triple(loop.weights) == (0.5, 0.2, 0.3)

    assert after(loop, [outcome(target, 300.0) for target in TARGETS for _ in range(20)]) is None

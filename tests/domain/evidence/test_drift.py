"""Page–Hinkley on latencies: quick to see a lasting rise, slow to cry wolf."""

from __future__ import annotations

import random

from app.domain.evidence.drift import Watched
from app.domain.outcome import Outcome, Source
from tests.domain.small_world import DEEPSEEK, GEMINI, POLICY, outcome


def answers(count: int, ms: float, seed: int, target=DEEPSEEK) -> list[Outcome]:  # type: ignore[no-untyped-def]  # a Target, by its default
    rng = random.Random(seed)
    return [outcome(target, ms * rng.lognormvariate(0, 0.25), source=Source.LIVE) for _ in range(count)]


def watched(*outcomes: Outcome, before: Watched | None = None) -> Watched:
    return (before or Watched()).after(outcomes, POLICY.drift)


def test_a_lasting_rise_is_found_within_a_dozen_answers() -> None:
    late = early = 0
    for seed in range(100):
        usual = watched(*answers(200, 240, seed))
        early += bool(usual.found)
        late += not watched(*answers(12, 450, 1000 + seed), before=usual).found

    assert late <= 2
    assert early <= 2  # of 20,000 answers


def test_next_to_nothing_is_found_where_nothing_changes() -> None:
    assert len(watched(*answers(18_000, 240, 1)).found) <= 1


def test_what_is_found_names_the_target_and_the_numbers_and_the_detector_begins_anew() -> None:
    found = watched(*answers(100, 240, 1), *answers(60, 500, 2), *answers(100, 300, 3, GEMINI))

    assert len(found.found) == 1
    assert found.found[0].startswith("deepseek/m drifts: ")
    assert found.detectors[DEEPSEEK].count < 60  # and at the new level there is nothing more to find


def test_failures_and_a_single_slow_answer_are_no_drift() -> None:
    failed = [outcome(DEEPSEEK, 30_000, success=False, source=Source.LIVE)] * 50
    ours = [outcome(DEEPSEEK, 30_000, counts=False, source=Source.LIVE)] * 50

    found = watched(*answers(100, 240, 1), outcome(DEEPSEEK, 2400), *answers(30, 240, 2), *failed, *ours)

    assert not found.found


def test_detectors_survive_json_and_nonsense_is_no_detector() -> None:
    known = watched(*answers(100, 240, 1), *answers(30, 600, 2))

    assert Watched.from_json(known.to_json()) == known
    assert Watched.from_json({}) == Watched.from_json({"detectors": {"x": 1}}) == Watched()

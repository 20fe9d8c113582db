"""Simulated regimes: what they give is what they say, and a policy meets it as it would live."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path
from statistics import fmean

import pytest

from app.cli.regime_files import SHIPPED, load_regimes
from app.domain.policy import Objective, Policy
from app.domain.replay import thresholds
from app.domain.replay.metrics import worth
from app.domain.replay.quotas import REFUSED_MS, Quotas
from app.domain.replay.regimes.course import Course
from app.domain.replay.regimes.law import Law
from app.domain.replay.regimes.regime import Draw, Regime, TargetSpec, expanded
from app.domain.replay.regimes.trial import Trial, trial
from app.domain.replay.trace import Offer, Request, Round, Sample
from app.errors import ConfigError

REGIMES = load_regimes()
POLICY = Policy()
GOOD = {"latency_ms": 300, "cost_usd": 0.001, "quality": 0.9}
WORSE = {"latency_ms": 600, "cost_usd": 0.002, "quality": 0.8}


def made(**values: object) -> Regime:
    """Two targets for an hour, and what else is said."""
    return Regime.model_validate(
        {"about": "made", "source": "made", "hours": 1, "targets": {"a": GOOD, "b": WORSE}} | values
    )


def requests(course: Course) -> list[Request]:
    return [row for row in course.rows() if isinstance(row, Request)]


@pytest.mark.parametrize("name", ["base", "tails-on-best", "diurnal", "new-bad", "live-lengths", "20-targets-1"])
def test_the_same_seed_gives_the_same_rows_and_another_seed_others(name: str) -> None:
    def first(seed: int) -> list[object]:
        return list(islice(Course(name, REGIMES[name], seed).rows(), 50))

    assert first(1) == first(1)
    assert first(1) != first(2)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"latency_ref_ms": 350},
        {"targets": {"a": {**GOOD, "sigma": 1.2}, "b": WORSE}},
        {"targets": {"a": {**GOOD, "sigma": 0, "quality": 1.0, "quality_sd": 0.3}, "b": WORSE}},
        {"targets": {"a": {**GOOD, "tail_share": 0.05, "tail_ms": 30_000}, "b": WORSE}},
        {"targets": {"a": {**GOOD, "success": 0.6, "failure_ms": 700}, "b": WORSE}},
        {"live_length": 3, "live_length_sigma": 0.8, "cost_ref_usd": 0.002},
        {"grades": "binary"},
        {"prompts": [0.21, 0.21, 0.1, -0.52]},
        {"grades": "binary", "prompts": [0.3, -0.3]},
    ],
)
def test_what_a_target_is_worth_is_the_mean_of_what_its_calls_are_worth(changed: dict[str, object]) -> None:
    """Each call capped by itself: the mean of a heavy tail would say something else."""
    course = Course("made", made(per_hour=20_000, **changed), 0)
    seen, objective = requests(course), course.header().objective

    for target in ("a", "b"):
        calls = [worth(row.samples[target], objective) for row in seen]
        error = (fmean(each * each for each in calls) - fmean(calls) ** 2) ** 0.5 / len(calls) ** 0.5
        assert seen[0].expected is not None
        assert fmean(calls) == pytest.approx(seen[0].expected[target], abs=4 * error)


def test_a_tail_is_a_share_of_the_successes() -> None:
    spec = TargetSpec.model_validate({**GOOD, "success": 0.9, "tail_share": 0.1, "tail_ms": 30_000})
    law, rng, regime = Law.of(spec), random.Random(0), made()
    calls = [law.call(rng, regime, 1.0, 0) for _ in range(20_000)]
    answered = [call for call in calls if call.ok]

    assert len(answered) / len(calls) == pytest.approx(0.9, abs=0.01)
    assert fmean(call.latency_ms == 30_000 for call in answered) == pytest.approx(0.1, abs=0.01)
    assert all(call.latency_ms == 120 and call.cost_usd == 0 for call in calls if not call.ok)


def test_events_set_move_and_turn() -> None:
    events = [
        {"target": "a", "from_s": 600, "to_s": 1200, "set": {"success": 0.0, "cost_usd": 0.005}},
        {"target": "b", "from_s": 0, "to_s": 3600, "ramp": {"latency_ms": [600, 1200]}},
        {"target": "b", "wave": {"quality": {"low": 0.2, "high": 0.8, "period_s": 3600}}},
    ]
    course = Course("made", made(events=events), 0)

    assert [course.at(t).laws["a"].success for t in (599, 600, 1199, 1200)] == [0.99, 0, 0, 0.99]
    assert [course.at(t).laws["b"].latency_ms for t in (0, 1800, 3599)] == pytest.approx([600, 900, 1190])
    assert [course.at(t).laws["b"].quality for t in (0, 900, 1800)] == pytest.approx([0.2, 0.5, 0.8])


def test_changes_of_the_best_target_are_known() -> None:
    events = [{"target": "a", "from_s": 1800, "to_s": 2400, "set": {"quality": 0.1}}]

    assert Course("made", made(events=events), 0).header().changes == (300, 400)
    assert Course("made", made(), 0).header().changes == ()


def test_rounds_come_first_and_hold_the_same_prompts_for_all() -> None:
    rows = list(Course("made", made(hours=2.5, round_calls=4, prompts=[0.0, -0.9]), 0).rows())
    rounds = [row for row in rows if isinstance(row, Round)]

    assert rows[:2] == [Offer(0.0, ("a", "b")), rounds[0]]
    assert [each.at_s for each in rounds] == [0, 3600, 7200]
    assert all([len(calls) for calls in each.table.values()] == [4, 4] for each in rounds)
    for calls in rounds[0].table.values():
        assert all(call.quality < 0.4 for call in calls[1::2])


def test_requests_come_in_bursts() -> None:
    at = [row.at_s for row in requests(Course("made", made(burst=3, per_hour=360), 0))][:7]

    assert at == pytest.approx([0, 0.1, 0.2, 30, 30.1, 30.2, 60])


def test_who_arrives_later_is_neither_measured_nor_offered_before() -> None:
    course = Course("made", made(hours=2, targets={"a": WORSE, "b": WORSE, "new": {**GOOD, "arrives_s": 3600}}), 0)
    before = [row for row in course.rows() if row.at_s < 3600]
    after = [row for row in course.rows() if row.at_s >= 3600]

    assert all("new" not in row.samples and "new" not in row.expected for row in before if isinstance(row, Request))
    assert after[0] == Offer(3600, ("a", "b", "new"))
    assert isinstance(after[1], Round)
    assert "new" in after[1].table
    assert course.best_fixed() in {"a", "b"}


def test_a_draw_is_always_the_same_and_no_two_are_alike() -> None:
    drawn = expanded({"many": Regime(about="x", source="x", draw=Draw(targets=20, draws=5))})

    assert list(drawn) == [f"many-{number}" for number in range(1, 6)]
    assert drawn == expanded({"many": Regime(about="x", source="x", draw=Draw(targets=20, draws=5))})
    assert len({each.model_dump_json() for each in drawn.values()}) == 5
    assert {each.family for each in drawn.values()} == {"many"}


def test_of_a_draw_the_dearer_may_be_the_better_and_tails_are_drawn_too() -> None:
    draw = Draw(targets=50, quality_by_cost=1, tail_share=(0.01, 0.05))
    by_cost = sorted(draw.drawn(1).values(), key=lambda spec: spec.cost_usd)

    assert [spec.quality for spec in by_cost] == sorted(spec.quality for spec in by_cost)
    assert all(0.01 <= spec.tail_share <= 0.05 and 5_000 <= spec.tail_ms <= 30_000 for spec in by_cost)


def test_a_quota_refuses_what_is_beyond_it_and_fills_again() -> None:
    quotas, sample = Quotas({"a": 3}), Sample(300, True, 0.001, 0.9, 100)
    answers = [quotas.answer("a", 0.0, sample) for _ in range(4)]

    assert [each.limited for each in answers] == [False, False, False, True]
    assert [each.quota.remaining for each in answers if each.quota] == [2, 1, 0, 0]
    assert (answers[3].ok, answers[3].latency_ms, answers[3].retry_after_s) == (False, REFUSED_MS, pytest.approx(20))
    assert quotas.answer("a", 19.9, sample).limited
    assert not quotas.answer("a", 20.0, sample).limited
    assert quotas.answer("a", 600.0, sample).quota == (3, 2, pytest.approx(20))
    assert quotas.answer("b", 0.0, sample) == sample


def test_a_refusal_by_quota_is_worth_a_failure_and_each_policy_has_the_quota_for_itself() -> None:
    limited = made(targets={"a": {**GOOD, "per_minute": 2, "success": 1}, "b": {**WORSE, "success": 1}}, per_hour=600)
    done = trial("made", limited, 0, POLICY, ["static"])

    fixed = done.figures["fixed:best"]
    assert done.best_fixed == "a"
    assert fixed["limitedRate"] == fixed["failRate"] == pytest.approx(0.8, abs=0.01)
    assert fixed["captured"] < 0
    assert done.figures["tooloo"]["limitedRate"] < 0.3
    # who knows of no quotas takes a 429 for a failure, and leaves
    assert done.figures["static"]["limitedRate"] < 0.7


def test_tooloo_and_those_beside_it_go_through_a_regime() -> None:
    done = trial("made", made(), 0, POLICY)

    assert {*done.figures} == {"tooloo", "static", "utility-greedy", "ucb1", "thompson", "fixed:best"}
    assert {each["requests"] for each in done.figures.values()} == {600}
    assert done.figures["fixed:best"]["captured"] == 1
    assert done.figures["utility-greedy"]["captured"] > 0.9
    assert done.figures["tooloo"]["captured"] > 0.9
    assert done == trial("made", made(), 0, POLICY)


def test_a_newcomer_may_be_served_from_when_it_comes() -> None:
    done = trial("made", made(hours=2, targets={"a": WORSE, "b": WORSE, "new": {**GOOD, "arrives_s": 3600}}), 0, POLICY)

    assert all(done.figures[name]["bestShare"] > 0.4 for name in ("tooloo", "static", "utility-greedy"))


def test_utility_greedy_goes_by_the_objective_whatever_the_weights_say() -> None:
    cheap = {"latency_ms": 300, "cost_usd": 0.00001, "quality": 0.75}
    better = {"latency_ms": 300, "cost_usd": 0.0002, "quality": 0.9}
    done = trial("made", made(targets={"a": cheap, "b": better}), 0, POLICY, ["utility-greedy"])

    assert done.figures["utility-greedy"]["bestShare"] == 1


def figures(captured: float | None, limited: float = 0.0) -> dict[str, float | None]:
    return {"captured": captured, "limitedRate": limited}


def outcome(family: str, tooloo: float | None, static: float, greedy: float, limited: float = 0.0) -> list[str]:
    targets = {"a": {**GOOD, "per_minute": 5}} if family == "quota" else {"a": GOOD}
    regime = made(targets={**targets, "b": WORSE}, family=family)
    shown = {"tooloo": figures(tooloo, limited), "static": figures(static), "utility-greedy": figures(greedy)}
    return thresholds.missed_in_regime([Trial(family, regime, 0, "a", shown)])


@pytest.mark.parametrize(
    ("family", "tooloo", "static", "greedy", "limited", "said"),
    [
        ("x", 0.90, 0.90, 0.91, 0.0, []),
        ("x", 0.89, 0.90, 0.91, 0.0, []),  # exactly as far below as may be
        ("x", 0.88, 0.90, 0.89, 0.0, ["-0.020 to static, -0.01 is asked for (seed 0)"]),
        ("x", 0.90, 0.80, 0.93, 0.0, ["-0.030 to utility-greedy, -0.02 is asked for (seed 0)"]),
        ("mix", 0.94, 0.50, 0.94, 0.0, ["captured 0.940 < 0.95 (seed 0)"]),
        ("quota", 0.80, 0.79, 0.80, 0.0, ["+0.010 to static, +0.02 is asked for (seed 0)"]),
        ("quota", 0.82, 0.79, 0.80, 0.015, ["1.50% > 1% failed by quota"]),
        ("x", None, 0.0, 0.0, 0.0, []),
    ],
)
def test_each_bar_that_is_missed_is_named_with_its_numbers(
    family: str, tooloo: float | None, static: float, greedy: float, limited: float, said: list[str]
) -> None:
    assert outcome(family, tooloo, static, greedy, limited) == said


def test_the_worst_seed_speaks() -> None:
    def one(seed: int, captured: float) -> Trial:
        shown = {"tooloo": figures(captured), "static": figures(0.9), "utility-greedy": figures(0.9)}
        return Trial("x", made(), seed, "a", shown)

    assert thresholds.missed_in_regime([one(0, 0.95), one(1, 0.7), one(2, 0.99)]) == [
        "-0.200 to static, -0.01 is asked for (seed 1)",
        "-0.200 to utility-greedy, -0.02 is asked for (seed 1)",
    ]


def test_every_regime_that_a_bar_names_is_there_and_draws_are_at_least_five() -> None:
    families = [regime.family for regime in REGIMES.values()]

    assert {*thresholds.REGIMES} <= {*families}
    assert min(families.count(name) for name in ("20-targets", "100-targets")) >= 5


HEAD = "[regimes.mine]\nabout = 'x'\nsource = 'x'\n"
PAIR = HEAD + "".join(f"targets.{name} = {{latency_ms = 1, cost_usd = 0, quality = 1}}\n" for name in "ab")


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ("", "regimes", "Field required"),
        ("[regimes]", "regimes", "at least one is needed: [regimes.NAME]"),
        ("[regimes", "mine.toml", "Expected"),
        ("[regimes.mine]\nsource = 'x'\nlike = 'vendors'", "regimes.mine.about", "Field required"),
        (HEAD, "regimes.mine", "needs at least two targets"),
        (HEAD + "like = 'none'", "regimes.mine.like", "'none' is no set; sets are: vendors, price-levels"),
        (HEAD + "like = 'vendors'\nhour = 3", "regimes.mine.hour", "keys are: about, source, targets"),
        (HEAD + "like = 'vendors'\nhours = 0", "regimes.mine.hours", "greater than 0: got 0"),
        (HEAD + "like = 'vendors'\ntargets.openai = {success = 1.5}", "regimes.mine.targets.openai.success", "got 1.5"),
        (HEAD + "like = 'vendors'\ntargets.new = {latency_ms = 5}", "regimes.mine.targets.new.cost_usd", "required"),
        (HEAD + "like = 'vendors'\ntargets = 3", "regimes.mine.targets", "valid dictionary: got 3"),
        (HEAD + "like = 'vendors'\ndraw = {targets = 5}", "regimes.mine", "exclude each other"),
        (PAIR + "events = [{target = 'c', set = {success = 0}}]", "regimes.mine", "'c'; targets are: a, b"),
        (PAIR + "events = [{target = 'a'}]", "regimes.mine.events.0", "needs set, ramp or wave"),
        (PAIR + "events = [{target = 'a', ramp = {latency_ms = [1, 2]}}]", "regimes.mine.events.0", "needs to_s"),
        (PAIR + "events = [{target = 'a', set = {success = 2}}]", "regimes.mine.events.0", "share from 0 to 1: got 2"),
        (PAIR + "events = [{target = 'a', set = {speed = 2}}]", "regimes.mine.events.0.set.speed", "latency_ms"),
        (HEAD + "draw = {targets = 5, quality = [0.9, 0.1]}", "regimes.mine.draw", "quality: [low, high] are two ends"),
        (PAIR + "hours = 0.1\nper_hour = 1", "regimes.mine", "at least one request"),
    ],
)
def test_a_wrong_file_is_refused_by_field_and_fix(text: str, field: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)

    with pytest.raises(ConfigError) as refused:
        load_regimes(path)
    assert refused.value.field == field
    assert words in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_file_of_ones_own_may_begin_with_a_shipped_set(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    own = "targets.gemini = {quality = 0.5}\ntargets.mine = {latency_ms = 9, cost_usd = 0, quality = 1}"
    path.write_text(f"{HEAD}like = 'vendors'\n{own}")
    regime = load_regimes(path)["mine"]

    assert [*regime.targets] == ["deepseek", "gemini", "anthropic", "openai", "mine"]
    assert (regime.targets["gemini"].quality, regime.targets["gemini"].latency_ms) == (0.5, 350)


def test_the_objective_of_a_regime_is_that_of_its_trace() -> None:
    assert Course("x", made(latency=0.1, cost=0.6, latency_ref_ms=8000), 0).header().objective == Objective(
        0.1, 0.6, 8000, 0.006
    )
    assert SHIPPED.is_file()

"""The replay over prompts: a small file of its own, and the shared one where it stands beside the project."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli.main import cli
from app.cli.replay import read_lines
from app.domain.catalog import TaskType
from app.domain.policy import Policy
from app.domain.replay import prompts
from app.domain.replay.prompt_bars import adopted, noticed, stake
from app.domain.replay.prompt_run import Run, hindsight, run
from app.domain.replay.prompt_stream import CUT, Stream, changing, stream
from app.domain.replay.prompts import Question

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "prompts" / "paretobandit-val.csv.gz"
HEAD = "category,prompt_id,prompt,model,quality,cost_usd\n"
#: quality and cost of each model
MODELS = {"small": (0.7, 0.0001), "large": (0.9, 0.0005), "other": (0.85, 0.00055), "waste": (0.75, 0.002)}


def rows(count: int, seed: int = 0) -> str:
    rng = random.Random(seed)
    return HEAD + "".join(
        f'qa,p{n},"What, then, is {n}?",{model},{min(1, max(0, rng.gauss(quality, 0.05))):.3f},'
        f"{cost * rng.uniform(0.5, 1.5):.7f}\n"
        for n in range(count)
        for model, (quality, cost) in MODELS.items()
    )


def questions(count: int = 450) -> tuple[Question, ...]:
    return prompts.read(rows(count).splitlines(keepends=True))


def made(count: int = 450, **changes: object) -> Stream:
    return stream(questions(count), 0, 50, 10)


# reading


def test_a_file_is_read_into_prompts_with_all_answers_and_their_task_type() -> None:
    text = HEAD + 'mbpp,1,"Write a python function, please",a,1,0.5\nmbpp,1,"Write a python function, please",b,0,0\n'

    (found,) = prompts.read(text.splitlines(keepends=True))

    assert (found.id, found.category, found.task) == ("1", "mbpp", TaskType.CODE)
    assert found.answers == {"a": (1.0, 0.5), "b": (0.0, 0.0)}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "line 1: no column category"),
        ("prompt,model\n", "line 1: no column category, prompt_id, quality, cost_usd"),
        (HEAD, "no prompts"),
        (HEAD + "c,1,p,a,1.5,0\n", "line 2: quality must be from 0 to 1: got 1.5"),
        (HEAD + "c,1,p,a,good,0\n", "line 2: quality must be a number from 0 up: got 'good'"),
        (HEAD + "c,1,p,a,1,-1\n", "line 2: cost_usd must be a number"),
        (HEAD + "c,1,p,a,1,inf\n", "line 2: cost_usd must be a number"),
        (HEAD + "c,1,p,a,1\n", "line 2: cost_usd is missing"),
        (HEAD + "c,1,p,a,1,0\nc,1,p,a,1,0\n", "line 3: prompt_id '1' has model 'a' twice"),
        (HEAD + "c,1,p,a,1,0\nc,2,p,b,1,0\n", "prompt_id '1' has no answer of 'b'"),
        (HEAD + 'c,1,"p"x,a,1,0\n', "line 2: not CSV"),
    ],
)
def test_a_wrong_file_is_refused_by_line_and_column(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        prompts.read(text.splitlines(keepends=True))


# the stream


def test_prompts_of_rounds_are_no_live_requests_and_drawn_once() -> None:
    whole = made()
    held = [each.id for round_ in whole.rounds for each in round_.questions]
    live = [each.id for each in whole.requests]

    assert sorted(held + live) == sorted(each.id for each in questions())
    assert [each.at for each in whole.rounds] == list(range(0, len(live), 50))


def test_the_same_prompts_may_be_asked_in_every_round() -> None:
    whole = stream(questions(), 0, 50, 10, fixed=True)

    assert len({tuple(each.id for each in round_.questions) for round_ in whole.rounds}) == 1
    assert len(whole.requests) == 440


def test_another_seed_is_another_order() -> None:
    assert made().requests == made().requests
    assert made().requests != stream(questions(), 1, 50, 10).requests


def test_too_few_prompts_are_refused_with_the_numbers() -> None:
    with pytest.raises(ValueError, match="20 prompts are too few for two rounds of 10, 50 requests apart"):
        stream(questions(20), 0, 50, 10)


def test_a_change_begins_in_the_middle_and_hits_the_model_that_matters() -> None:
    whole, middle = made(), len(made().requests) // 2
    worse, cut, new = (changing(whole, kind, 0.0006) for kind in ("regression", "price-cut", "newcomer"))

    assert {worse.change.model, new.change.model} == {"large"}
    assert cut.change.model == "other"
    assert worse.at(middle)["large"].quality == worse.at(middle)["small"].quality
    assert worse.at(middle)["large"].cost_usd == whole.at(middle)["large"].cost_usd
    assert cut.at(middle)["other"].cost_usd == pytest.approx(CUT * whole.at(middle)["other"].cost_usd)
    assert "large" not in new.at(middle - 1)
    assert "large" in new.at(middle)
    for each in (worse, cut):
        assert each.at(middle - 1) == whole.at(middle - 1)


# what is made of it


def test_hindsight_is_the_best_mixture_then_the_best_of_each_prompt() -> None:
    known = hindsight(made(), 0.0003)

    assert known["mixture"] == pytest.approx(0.8, abs=0.02)  # half of the requests at each of the two
    assert known["mixture"] <= known["perCategory"] + 1e-9
    assert known["perCategory"] <= known["oracle"] + 1e-9


@pytest.mark.parametrize("ceiling", [0.0003, 0.0006])
def test_the_ceiling_is_held_and_the_reward_comes_near_the_best_mixture(ceiling: float) -> None:
    whole = made()

    done = run(whole, ceiling, Policy(), 1)

    assert done.cost_usd <= 1.01 * ceiling
    assert done.reward >= hindsight(whole, ceiling)["mixture"] - 0.02
    assert done.chosen.count("waste") <= len(done.chosen) * 0.02


def test_a_policy_sees_no_grade_of_a_live_request() -> None:
    whole = made()
    blind = Stream(
        tuple(
            Question(each.id, each.category, each.task, {m: a._replace(quality=0.0) for m, a in each.answers.items()})
            for each in whole.requests
        ),
        whole.rounds,
        whole.every,
        whole.change,
    )

    assert run(whole, 0.0003, Policy(), 1).chosen == run(blind, 0.0003, Policy(), 1).chosen


def test_a_silent_regression_is_left_with_the_next_round_and_a_newcomer_taken_up() -> None:
    worse, new = (changing(made(), kind, 0.0006) for kind in ("regression", "newcomer"))

    assert stake(worse, 0.0006) > 0.1
    assert noticed(run(worse, 0.0006, Policy(), 1)) == 1
    found = adopted(run(new, 0.0006, Policy(), 1), 0.0006)
    assert found is not None
    assert found <= 142


def test_what_was_never_noticed_is_said() -> None:
    worse = changing(made(), "regression", 0.0006)

    assert noticed(Run(worse, 0.0006, ("large",) * len(worse.requests))) is None
    assert adopted(Run(changing(made(), "newcomer", 0.0006), 0.0006, ("small",) * len(worse.requests)), 0.0006) is None


# the command


def test_the_command_prints_rewards_and_every_bar(tmp_path: Path) -> None:
    path = tmp_path / "prompts.csv"
    path.write_text(rows(130))
    asked = ["replay", "--prompts", str(path), "--ceiling", "0.0006", "--seeds", "0", "--every", "30"]

    printed, told = CliRunner().invoke(cli, asked), CliRunner().invoke(cli, [*asked, "--json"])

    assert printed.exit_code == 0, printed.output
    assert all(word in printed.output for word in ("two models", "oracle", "regression", "newcomer", "met"))
    (result,) = json.loads(told.output)["results"]
    assert (result["heldOutPrompts"], result["promptsPerRound"], result["seeds"]) == (40, 10, [0])
    assert result["ceilings"][0]["runs"][0]["costUsd"] <= 1.01 * 0.0006
    assert {each["name"] for each in result["bars"]} >= {"spend", "reward", "regression", "price-cut", "newcomer"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--ceiling", "0"], "--ceiling"),
        (["--ceiling", "nan"], "--ceiling"),
        (["--policy", "static"], "--prompts goes with none of"),
    ],
)
def test_wrong_usage_is_named(tmp_path: Path, options: list[str], reason: str) -> None:
    path = tmp_path / "prompts.csv"
    path.write_text(rows(3))

    result = CliRunner().invoke(cli, ["replay", "--prompts", str(path), *options])

    assert result.exit_code == 2
    assert reason in result.output


def test_a_wrong_file_ends_the_command_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "prompts.csv"
    path.write_text("x\n")

    result = CliRunner().invoke(cli, ["replay", "--prompts", str(path)])

    assert result.exit_code == 1
    assert "prompts.csv: line 1: no column" in result.output


@pytest.mark.skipif(not SHARED.is_file(), reason="the prompts stand beside the project, in ../shared/prompts")
def test_the_shared_prompts_keep_within_a_ceiling() -> None:
    whole = stream(prompts.read(read_lines(SHARED))[:300], 0, 50, 10)

    done = run(whole, 0.0007, Policy(), 0)

    assert done.cost_usd <= 1.01 * 0.0007
    assert done.reward > hindsight(whole, 0.0003)["mixture"] - 0.01

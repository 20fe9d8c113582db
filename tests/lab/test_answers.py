"""The lab's answers are as good as they say, measured by the graders of the benchmark."""

import random
from functools import cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import pytest

from app.config_files import load_prompts
from app.domain.catalog import Prompt
from app.domain.grading import grade
from app.lab.answers import answer, levels

PROMPTS = load_prompts(Path(__file__).resolve().parents[2] / "config")
BY_ID = pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: prompt.id)


@cache
def measured() -> dict[str, float]:
    """Grade of every answer the lab has to a standard prompt, by its text."""
    return {
        text: grade(prompt, text).score for prompt in PROMPTS for level in levels(prompt.text) for text in level.texts
    }


@BY_ID
def test_every_standard_prompt_has_answers(prompt: Prompt) -> None:
    digest = sha256(prompt.text.encode()).hexdigest()
    assert levels(prompt.text), f"the text of {prompt.id} has changed: its SHA-256 is {digest} now"


@BY_ID
def test_answers_are_worth_what_is_written_beside_them(prompt: Prompt) -> None:
    for level in levels(prompt.text):
        for text in level.texts:
            assert measured()[text] == pytest.approx(level.grade, abs=0.001), text


@BY_ID
def test_levels_go_from_perfect_to_poor(prompt: Prompt) -> None:
    known = levels(prompt.text)
    assert 4 <= len(known) <= 6
    assert known[0].grade == 1
    assert len(known[0].texts) >= 2
    assert known[-1].grade <= 0.1
    assert all(better.grade > worse.grade for better, worse in pairwise(known))


@BY_ID
def test_answers_have_the_length_of_answers(prompt: Prompt) -> None:
    assert all(20 <= len(text) <= 1_400 for level in levels(prompt.text) for text in level.texts)


@pytest.mark.parametrize("temperature", [None, 0, 0.7])
@pytest.mark.parametrize("quality", [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
def test_the_mean_grade_is_the_quality_that_was_set(quality: float, temperature: float | None) -> None:
    rng = random.Random(7)
    draws = [
        measured()[answer(prompt.text, quality, rng, temperature=temperature)] for prompt in PROMPTS for _ in range(300)
    ]
    assert fmean(draws) == pytest.approx(quality, abs=0.03)


@BY_ID
def test_no_prompt_is_favoured(prompt: Prompt) -> None:
    rng = random.Random(7)
    draws = [measured()[answer(prompt.text, 0.6, rng)] for _ in range(2_000)]
    assert fmean(draws) == pytest.approx(0.6, abs=0.03)
    assert len(set(draws)) >= 2


@pytest.mark.parametrize(("quality", "mean"), [(-1, 0), (0, 0), (1, 1), (7, 1)])
def test_quality_beyond_the_levels_gives_the_nearest(quality: float, mean: float) -> None:
    rng = random.Random(7)
    assert fmean(measured()[answer(prompt.text, quality, rng)] for prompt in PROMPTS) == pytest.approx(mean, abs=0.03)


def test_the_same_seed_gives_the_same_answers() -> None:
    first, second = random.Random(3), random.Random(3)
    for prompt in PROMPTS:
        assert answer(prompt.text, 0.7, first) == answer(prompt.text, 0.7, second)


@BY_ID
def test_wording_varies_unless_temperature_is_zero(prompt: Prompt) -> None:
    rng = random.Random(5)
    assert len({answer(prompt.text, 1, rng) for _ in range(30)}) == len(levels(prompt.text)[0].texts)
    assert len({answer(prompt.text, 1, rng, temperature=0) for _ in range(30)}) == 1


@pytest.mark.parametrize("text", ["Hello!", "", PROMPTS[0].text + " Thanks.", "word " * 100_000, "\ud800"])
def test_any_other_prompt_gets_a_text_that_says_it_is_simulated(text: str) -> None:
    rng = random.Random(5)
    replies = [answer(text, 0.9, rng) for _ in range(40)]
    assert all(reply.startswith("Simulated answer: ") and "simulated provider" in reply for reply in replies)
    assert len({len(reply) for reply in replies}) > 10
    assert max(map(len, replies)) < 1_200

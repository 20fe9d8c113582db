"""Grader `numeric`: the result of a calculation, however number and unit are written."""

import dataclasses

import pytest

from app.domain.grading import grade
from tests.domain.grading.standard import FILLER, PERFECT, PROMPTS, REFUSAL, assert_between

P = "maths-problem"


@pytest.mark.parametrize(
    ("answer", "low", "high"),
    [
        pytest.param(PERFECT[P], 1, 1, id="perfect"),
        pytest.param(
            f"Let's see!\n```\n{PERFECT[P]}\n```\nLet me know if you have questions 1 or 2.", 1, 1, id="chatty, fenced"
        ),
        pytest.param("43.6", 1, 1, id="the bare number"),
        pytest.param("43,6 Minuten", 1, 1, id="decimal comma"),
        pytest.param("43.60 min", 1, 1, id="more digits"),
        pytest.param(
            "The answer is about 43.6 minutes after 8:00 (rounded to 1 decimal place).", 1, 1, id="rounding note"
        ),
        pytest.param("Die Antwort lautet: 43,6 Minuten.", 1, 1, id="German"),
        pytest.param("答案是：４３.６ 分钟。", 1, 1, id="Chinese, full-width digits"),
        pytest.param("The tank is full after 43 minutes 36 seconds.", 1, 1, id="minutes and seconds"),
        pytest.param("**Answer:** $\\boxed{43.6\\text{ minutes}}$", 1, 1, id="LaTeX box"),
        pytest.param(
            "So 2040 + 115 = 2155 L at 8:40, and 245 / 68 = 3.6, in total **43.6 minutes**.", 1, 1, id="bold in prose"
        ),
        pytest.param(
            "First I thought the answer is 40.3 minutes. Corrected: the answer is 43.6 minutes.", 1, 1, id="corrected"
        ),
        pytest.param("The answer is not 40.3 minutes but 43.6 minutes.", 1, 1, id="another one denied"),
        pytest.param(
            "The tank is full 43.6 minutes after 8:00, that is at about 8:44.", 1, 1, id="clock times around it"
        ),
        # on the right way
        pytest.param("Answer: 44 minutes", 0.7, 0.7, id="rounded too far"),
        pytest.param("700 / 68 = 10.3\nAnswer: 40.3 minutes", 0.4, 0.4, id="one step forgotten"),
        # wrong
        pytest.param("Answer: 35.3 minutes", 0, 0, id="wrong"),
        pytest.param("Answer: 436 minutes", 0, 0, id="wrong by a factor of ten"),
        pytest.param("Answer: 43.6 hours", 0, 0, id="wrong unit"),
        pytest.param("Answer: -43.6 minutes", 0, 0, id="wrong sign"),
        pytest.param("At 8:43 or so.", 0, 0, id="no number of minutes"),
        pytest.param("", 0, 0, id="empty"),
        pytest.param(PROMPTS[P].text, 0, 0, id="prompt echo"),
        pytest.param("tank pump litres leak 2,400 45 35 12 20 40.3 41.6 43.6", 0, 0, id="keyword stuffing"),
        pytest.param("Answer: 40.3 minutes\nAnswer: 41.6 minutes\nAnswer: 43.6 minutes", 0, 0, id="three guesses"),
        pytest.param("\n".join([PERFECT[P]] * 50), 0, 0.1, id="repetition × 50"),
        pytest.param("43.6 " * 50, 0, 0.1, id="the number × 50"),
        pytest.param(REFUSAL, 0, 0, id="refusal"),
        pytest.param(FILLER * 20, 0, 0, id="length alone"),
    ],
)
def test_the_final_number_is_graded(answer: str, low: float, high: float) -> None:
    assert_between(P, answer, low, high)


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (1234.5, "1,234.5"),
        (1234.5, "1.234,5"),
        (1234.5, "1 234,5"),
        (1234.5, "1\u202f234.5"),
        (1234.5, "1'234.50 CHF"),
        (1234567, "1,234,567"),
        (1234567, "1.234.567"),
        (1234, "1,234"),  # either a thousand and more …
        (1.234, "1,234"),  # … or, by a writer of decimal commas, a little over one
        (0.75, "3/4"),
        (2_500_000, "2.5 million"),
        (3.2e-4, "3.2 × 10⁻⁴".replace("⁻⁴", "^-4")),
        (3200, "3.2 × 10³"),
        (3.2e-4, "3.2e-4"),
        (-17, "−17"),
        (-17, "The result: -17."),
        (12, "x = 12"),
        (99, "Step 1. Take 3 apples.\nStep 2. Add 96, which gives 99"),
    ],
)
def test_numbers_are_read_in_every_common_spelling(value: float, answer: str) -> None:
    prompt = dataclasses.replace(PROMPTS[P], text="How much?", expected={"value": value})
    assert grade(prompt, answer).score == 1

"""Grader `exact`: short answers, right or wrong, however they are numbered."""

import pytest

from tests.domain.grading.standard import FILLER, PERFECT, PROMPTS, REFUSAL, assert_between

P = "simple-qa"


@pytest.mark.parametrize(
    ("answer", "low", "high"),
    [
        # read as a person would: all four are right
        pytest.param(PERFECT[P], 1, 1, id="perfect"),
        pytest.param(
            f"Sure! Here are the answers:\n\n```\n{PERFECT[P]}\n```\nHope this helps!", 1, 1, id="chatty, fenced"
        ),
        pytest.param("**1.** Canberra\n**2.** Tungsten\n**3.** Venus\n**4.** France", 1, 1, id="bold numbers"),
        pytest.param("Canberra\nTungsten\nVenus\nFrance", 1, 1, id="lines without numbers"),
        pytest.param("Canberra, tungsten, Venus, France", 1, 1, id="one line"),
        pytest.param("1) Canberra 2) Wolfram 3) Venus 4) France", 1, 1, id="numbers in one line"),
        pytest.param(
            "１．Canberra。\n２．Tungsten。\n３．Venus。\n４．France。", 1, 1, id="full-width numbers and stops"
        ),
        pytest.param("1. CANBERRA!\n2. «tungsten»\n3. “Venus”\n4. La France", 1, 1, id="case and quotes"),
        pytest.param(
            "1. The capital is Canberra, not Sydney.\n2. W stands for tungsten (wolfram).\n"
            "3. It is Venus: slower even than Mercury.\n4. France, ahead of Russia and the USA.",
            1,
            1,
            id="wrong ones named to be denied",
        ),
        pytest.param(
            "1. Sydney is larger, but Canberra is the capital\n2. Tungsten\n3. Venus\n4. France",
            1,
            1,
            id="corrected itself",
        ),
        pytest.param(PROMPTS[P].text + "\n\n" + PERFECT[P], 1, 1, id="question repeated first"),
        # partly right
        pytest.param("1. Canberra\n2. Tungsten\n3. Venus\n4. Russia", 0.75, 0.75, id="one wrong"),
        pytest.param("1. Canberra\n2. Tungsten", 0.5, 0.5, id="half is missing"),
        pytest.param("1. Canberra or Sydney\n2. Tungsten\n3. Venus\n4. France", 0.8, 0.85, id="one is hedged"),
        # wrong, empty, or no answer at all
        pytest.param("1. Sydney\n2. Titanium\n3. Jupiter\n4. Russia", 0, 0, id="wrong"),
        pytest.param("1. Not Canberra\n2. Tin\n3. Mars\n4. It isn't France", 0, 0, id="right words denied"),
        pytest.param("1. Tungsten\n2. Canberra\n3. France\n4. Venus", 0, 0, id="right words, wrong places"),
        pytest.param("", 0, 0, id="empty"),
        pytest.param(PROMPTS[P].text, 0, 0, id="prompt echo"),
        pytest.param(
            "Canberra Sydney Melbourne Perth tungsten tin titanium Venus Mercury Mars Jupiter France Russia USA China",
            0,
            0.3,
            id="keyword stuffing",
        ),
        pytest.param("\n".join([PERFECT[P]] * 50), 0, 0.1, id="repetition × 50"),
        pytest.param(REFUSAL, 0, 0, id="refusal"),
        pytest.param(FILLER * 20, 0, 0, id="length alone"),
    ],
)
def test_short_answers_are_graded_one_by_one(answer: str, low: float, high: float) -> None:
    assert_between(P, answer, low, high)

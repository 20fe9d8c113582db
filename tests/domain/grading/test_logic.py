"""Grader `logic`: the solution, and the steps that lead to it."""

import dataclasses

import pytest

from app.domain.grading import grade
from tests.domain.grading.standard import FILLER, PERFECT, PROMPTS, REFUSAL, assert_between

P = "logic-puzzle"
STEPS = PERFECT[P].partition("\n\n")[2]

IN_OTHER_WORDS = [
    """Answer: Bea, Finn, Dan, Amir, Cleo, Eva

Amir and Finn (clues 5, 3) didn't win; Cleo follows Amir, Dan follows Bea, and Eva follows Finn and Cleo, so Bea must
have won. By clue 2, Dan is third. The runner between Bea and Dan must be Finn, because Amir and Cleo are adjacent and
Eva must finish after Cleo. Amir and Cleo are consecutive and both are ahead of Eva, so they take 4th and 5th. Eva is
last because she is behind Finn and Cleo.""",
    """Answer: Bea, Finn, Dan, Amir, Cleo, Eva

Justification:
- Bea must have won: Amir and Finn are excluded by clues 5 and 3, and Cleo, Dan and Eva each finish behind someone.
- By clue 2, Dan is third.
- Amir and Cleo are consecutive, so they can't fill the single spot between Bea and Dan; Eva can't
  because she is behind Cleo. So Finn is second.
- Amir and Cleo take two of the remaining places, with Eva behind Cleo, so they are 4th and 5th.
- Eva is last, as she is behind both Finn and Cleo.""",
    """**Answer:** Bea → Finn → Dan → Amir → Cleo → Eva

1. Nobody but Bea can be first: Finn and Amir didn't win, and the others are all behind another runner.
2. Dan comes third, two places behind her.
3. Second place goes to Finn, since Amir-Cleo need adjacent places and Eva follows Cleo.
4. Then Amir and Cleo occupy places four and five together.
5. Eva comes last because Cleo is ahead of her.""",
]


@pytest.mark.parametrize("answer", IN_OTHER_WORDS)
def test_the_same_steps_in_other_words_are_worth_the_same(answer: str) -> None:
    assert_between(P, answer, 0.9, 1)


@pytest.mark.parametrize(
    ("answer", "low", "high"),
    [
        pytest.param(PERFECT[P], 1, 1, id="perfect"),
        pytest.param(f"Sure, let's solve it!\n```\n{PERFECT[P]}\n```\nHope this helps.", 1, 1, id="chatty, fenced"),
        pytest.param(
            f"{STEPS}\n\nSo the final order is: Bea, Finn, Dan, Amir, Cleo, Eva.", 1, 1, id="solution at the end"
        ),
        pytest.param("Answer：\n1. Bea\n2. Finn\n3. Dan\n4. Amir\n5. Cleo\n6. Eva\n\n" + STEPS, 1, 1, id="as a list"),
        pytest.param("Bea、Finn、Dan、Amir、Cleo、Eva。\n\n" + STEPS, 1, 1, id="no marker, ideographic commas"),
        # partly right
        pytest.param("Answer: Bea, Finn, Dan, Amir, Cleo, Eva", 0.6, 0.6, id="solution alone"),
        pytest.param("Bea, Finn, Dan, Amir, Cleo, Eva\nBea wins because nobody else can.", 0.65, 0.7, id="one step"),
        pytest.param(
            "Answer: Bea, Finn, Dan, Eva, Amir, Cleo\n\n" + STEPS, 0.15, 0.35, id="half of the places, good steps"
        ),
        # wrong
        pytest.param("Answer: Amir, Cleo, Finn, Bea, Eva, Dan", 0, 0, id="wrong"),
        pytest.param("Answer: Eva, Cleo, Amir, Dan, Finn, Bea\n\n" + STEPS, 0, 0.1, id="wrong, good steps"),
        pytest.param("Answer: Bea", 0, 0, id="not an order"),
        pytest.param(
            "Answer: Amir, Cleo, Finn, Bea, Eva, Dan\nAnswer: Amir, Cleo, Bea, Finn, Dan, Eva\n"
            "Answer: Bea, Finn, Dan, Amir, Cleo, Eva",
            0,
            0.1,
            id="three guesses",
        ),
        pytest.param("", 0, 0, id="empty"),
        pytest.param(PROMPTS[P].text, 0, 0, id="prompt echo"),
        pytest.param(
            "Amir Bea Cleo Dan Eva Finn won first second third between fourth fifth pair block together last behind "
            "directly after only cannot nobody",
            0,
            0.15,
            id="keyword stuffing",
        ),
        pytest.param("\n\n".join([PERFECT[P]] * 50), 0, 0.05, id="repetition × 50"),
        pytest.param(REFUSAL, 0, 0, id="refusal"),
        pytest.param(FILLER * 20, 0, 0, id="length alone"),
    ],
)
def test_a_solution_needs_its_steps(answer: str, low: float, high: float) -> None:
    assert_between(P, answer, low, high)


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("Answer: Cleo. She is the only one without an alibi, as the clock shows.", 1),
        ("It was not Ann. The answer is Cleo: she is the only one without an alibi.", 1),
        ("Only Cleo has no alibi.", 1),
        ("Answer: Ben, because Cleo has an alibi for the night.", 0.1),
    ],
)
def test_a_puzzle_may_ask_for_one_name(answer: str, score: float) -> None:
    expected = {"solution": ["cleo"], "others": ["ann", "ben"], "steps": [{"name": "alibi", "needs": ["alibi"]}]}
    assert grade(dataclasses.replace(PROMPTS[P], text="Who was it?", expected=expected), answer).score == score

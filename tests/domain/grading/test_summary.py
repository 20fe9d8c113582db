"""Grader `summary`: facts kept, in few and one's own words, none invented."""

import pytest

from tests.domain.grading.standard import FILLER, PERFECT, PROMPTS, REFUSAL, assert_between

P = "summarisation"
SOURCE = PROMPTS[P].text.partition("\n\n")[2]

IN_OTHER_WORDS = [
    "Veldmouth's council voted to shut the coal plant next June 30, four years early, and install an 84-million-euro "
    "wastewater heat pump. Households will pay about 3% more initially and less from year five, though opponents "
    "question those forecasts because of volatile power prices.",
    "Veldmouth will shut its coal-fired heating plant on 30 June next year, replacing it with an €84 million "
    "waste-water heat pump. Heating bills are expected to rise about 3% initially but fall below current levels "
    "from year five; opponents question this, citing unpredictable electricity prices.",
    "On 30 June next year Veldmouth closes its coal plant, four years early, and switches to an 84-million-euro heat "
    "pump using treated waste water. Heating bills will first increase by 3 percent, then drop below today's level "
    "by the fifth year, though opponents distrust the promised electricity price.",
    "Veldmouth's council decided to end coal heating next June in favour of a heat pump drawing on sewage water for 84 "
    "million euros. Households' bills go up 3 percent in year one and become cheaper after five years, a forecast "
    "critics led by Marta Lind call uncertain.",
]


@pytest.mark.parametrize("answer", IN_OTHER_WORDS)
def test_the_same_facts_in_other_words_are_worth_the_same(answer: str) -> None:
    assert_between(P, answer, 0.85, 1)


@pytest.mark.parametrize(
    ("answer", "low", "high"),
    [
        pytest.param(PERFECT[P], 1, 1, id="perfect"),
        pytest.param(f"**Summary:**\n\n{PERFECT[P]}\n\nLet me know if you want it shorter!", 0.95, 1, id="chatty"),
        pytest.param(f"```\n{PERFECT[P]}\n```", 1, 1, id="fenced"),
        pytest.param(PERFECT[P].replace(". ", "。").replace("11,000", "11 000"), 0.85, 1, id="other punctuation"),
        # partly right
        pytest.param(PERFECT[P].partition(". ")[0] + ".", 0.5, 0.6, id="first sentence alone"),
        pytest.param(PERFECT[P].replace("3 percent", "12 percent"), 0.8, 0.9, id="an invented number"),
        pytest.param(PERFECT[P] + " " + " ".join(SOURCE.split()[-22:]), 0.3, 0.85, id="a third too long"),
        pytest.param(" ".join(SOURCE.split()[:50]), 0, 0.25, id="the first 50 words of the source"),
        # wrong
        pytest.param("The text is about a town, a council and a chimney that tourists like.", 0, 0, id="wrong"),
        pytest.param("", 0, 0, id="empty"),
        pytest.param(PROMPTS[P].text, 0, 0, id="prompt echo"),
        pytest.param(SOURCE, 0, 0, id="source echo"),
        pytest.param(
            "Veldmouth coal plant closes June heat pump waste water 84 million euros bills rise 3 percent bills fall "
            "fifth year opponents doubt electricity price",
            0,
            0.05,
            id="keyword stuffing",
        ),
        pytest.param("\n".join([PERFECT[P]] * 50), 0, 0, id="repetition × 50"),
        pytest.param(REFUSAL, 0, 0, id="refusal"),
        pytest.param(FILLER * 20, 0, 0, id="length alone"),
    ],
)
def test_a_summary_is_short_and_true(answer: str, low: float, high: float) -> None:
    assert_between(P, answer, low, high)

"""Grader `pros-cons`: arguments with substance on both sides, and a verdict."""

import re

import pytest

from tests.domain.grading.standard import FILLER, PERFECT, PROMPTS, REFUSAL, assert_between

P = "pros-and-cons"

IN_OTHER_WORDS = [
    """## Pros
1. **Talent attraction:** Full pay for four days stands out, making it easier to recruit skilled developers.
2. **Well-being:** An extra day of rest reduces burnout, because employees have time to recover properly.
3. **Efficiency:** Limited time forces teams to cut unnecessary meetings and to focus on what matters.

## Cons
1. **Customer coverage:** With only 20 people, it is hard to guarantee support on all five weekdays.
2. **Workload compression:** The same tasks in fewer days can raise pressure and lead to hidden overtime.
3. **Delivery risk:** Fewer working hours may delay releases, since a small team has little slack.

**Recommendation:** Adopt it as a six-month pilot, provided that speed and customer satisfaction stay stable.""",
    """| Pros | Cons |
|---|---|
| Hiring gets easier because few others offer this. | Clients may feel neglected if nobody answers on Fridays. |
| Staff take fewer sick days, as they can recover. | Releases may slip because a fifth of the capacity is gone. |
| Parents stay longer, since family life fits in. | Coordination suffers when all are off on different days. |

Recommendation: Yes, try it for six months if support can be covered by a rota.""",
]


@pytest.mark.parametrize("answer", IN_OTHER_WORDS)
def test_other_layouts_are_worth_the_same(answer: str) -> None:
    assert_between(P, answer, 0.9, 1)


@pytest.mark.parametrize(
    ("answer", "low", "high"),
    [
        pytest.param(PERFECT[P], 1, 1, id="perfect"),
        pytest.param(f"Certainly!\n\n```\n{PERFECT[P]}\n```\n", 1, 1, id="chatty, fenced"),
        pytest.param(re.sub(r"(?m)^- ", "• ", PERFECT[P]).replace("Pros", "**Pros：**"), 1, 1, id="other bullets"),
        pytest.param(
            re.sub(r"(?m)^(Pros|Cons)\n", "", PERFECT[P])
            .replace("- The", "Pro: The")
            .replace("- People", "Pro: People")
            .replace("- Teams", "Pro: Teams")
            .replace("- Clients", "Con: Clients")
            .replace("- With", "Con: With")
            .replace("- Each", "Con: Each"),
            1,
            1,
            id="labels instead of headings",
        ),
        # partly right
        pytest.param(PERFECT[P].partition("\n\nRec")[0], 0.88, 0.95, id="no verdict"),
        pytest.param(PERFECT[P].partition("\n\nCons")[0], 0.35, 0.5, id="pros alone"),
        pytest.param(
            "Pros\n- It is nice to have one more day on which one does not have to work at all.\n"
            "Cons\n- It is not so nice to see that others have to work while one does not.\n"
            "Recommendation: Do it if you want to.",
            0.1,
            0.3,
            id="thin points",
        ),
        pytest.param(
            PERFECT[P].replace("Pros", "Tmp").replace("Cons", "Pros").replace("Tmp", "Cons"), 0, 0.75, id="swapped"
        ),
        # wrong
        pytest.param("A four-day week has pros and cons. It depends.", 0, 0, id="wrong"),
        pytest.param(
            "Pros\n- good\n- nice\n- better\nCons\n- bad\n- worse\n- worst\nRecommendation: Yes, if you can.",
            0,
            0,
            id="words, not points",
        ),
        pytest.param("", 0, 0, id="empty"),
        pytest.param(PROMPTS[P].text, 0, 0, id="prompt echo"),
        pytest.param(
            "Pros\n- recruiting hiring retention talent turnover attraction candidates applicants\n"
            "- burnout stress health sick days wellbeing energy morale\n"
            "- productivity focus efficiency meetings distraction concentration waste priorities\n"
            "Cons\n- customers clients support coverage availability incidents outages\n"
            "- capacity output deadlines delivery hours throughput roadmap slower\n"
            "- pressure stress overtime intensity compression exhaustion longer days\n"
            "Recommendation: pilot trial if provided condition unless",
            0,
            0.05,
            id="keyword stuffing",
        ),
        pytest.param(
            "Pros\n"
            + "- People are better rested, because they have one day more to recover.\n" * 3
            + "Cons\n"
            + "- Customers may wait longer, because nobody is there on one of the days.\n" * 3
            + "Recommendation: Try it if customers agree to it.",
            0.1,
            0.4,
            id="one point three times",
        ),
        pytest.param("\n\n".join([PERFECT[P]] * 50), 0, 0.05, id="repetition × 50"),
        pytest.param(REFUSAL, 0, 0, id="refusal"),
        pytest.param(FILLER * 20, 0, 0, id="length alone"),
    ],
)
def test_arguments_need_substance(answer: str, low: float, high: float) -> None:
    assert_between(P, answer, low, high)

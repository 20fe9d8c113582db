"""Grader `extraction`: F1 over dates, names and numbers."""

import json

import pytest

from tests.domain.grading.standard import FILLER, PERFECT, PROMPTS, REFUSAL, assert_between

P = "data-extraction"
FIELDS = {
    "dates": ["2024-03-14", "2024-03-08", "2024-04-02", "2024-05-31", "2024-03-16", "2024-03-18"],
    "people": ["Priya Raman", "Tom Becker", "Lena Okafor", "Marco"],
    "organisations": ["Halden Robotics", "Brightwell & Co."],
    "amounts": [12500, 37500, 800],
}
MAIL = PROMPTS[P].text.partition("From:")[2]


@pytest.mark.parametrize(
    ("answer", "low", "high"),
    [
        pytest.param(PERFECT[P], 1, 1, id="perfect"),
        pytest.param(
            f"Here you go:\n\n```\n{PERFECT[P]}\n```\n\nLet me know if you need more.", 1, 1, id="chatty, fenced"
        ),
        pytest.param(json.dumps(FIELDS), 1, 1, id="JSON instead of lines"),
        pytest.param(
            "## Dates:\n- 14 March 2024\n- March 8, 2024\n- 2 April 2024\n- 31.05.2024\n"
            "- 16th of March 2024\n- 3/18/2024\n\n"
            "## People:\n* Ms. Priya Raman\n* Tom Becker (recipient)\n* Lena Okafor - Halden\n* Marco\n\n"
            "## Organizations:\n1. Halden Robotics\n2. Brightwell and Co\n\n"
            "## Amounts:\n- €12,500\n- 37.500 euros\n- 800 €",
            1,
            1,
            id="bullets, other spellings",
        ),
        pytest.param(
            PERFECT[P].replace(";", "；").replace(": ", "：").replace("-", "‑"), 1, 1, id="full-width punctuation"
        ),
        pytest.param(PERFECT[P].replace(";", ","), 1, 1, id="commas"),
        pytest.param(
            "| dates | 2024-03-14; 2024-03-08; 2024-04-02; 2024-05-31; 2024-03-16; 2024-03-18 |\n"
            "| people | Priya Raman; Tom Becker; Lena Okafor; Marco |\n"
            "| organisations | Halden Robotics; Brightwell & Co. |\n| amounts | 12500; 37500; 800 |",
            1,
            1,
            id="a table",
        ),
        # partly right
        pytest.param(PERFECT[P].replace("37500; ", ""), 0.95, 0.98, id="one missing"),
        pytest.param(PERFECT[P].replace("Marco", "Marco; Paris; Hanover"), 0.92, 0.95, id="two places as people"),
        pytest.param(PERFECT[P].split("\n")[0], 0.55, 0.6, id="dates alone"),
        pytest.param(PERFECT[P].replace("2024-03-18", "next Monday"), 0.9, 0.95, id="a date not worked out"),
        # wrong
        pytest.param(
            "dates: last Friday; Monday\npeople: Priya; Tom\norganisations: Paris\namounts: some", 0, 0, id="wrong"
        ),
        pytest.param("dates: 2024-02-30; 0000-00-00; 9999-99-99", 0, 0, id="dates that do not exist"),
        pytest.param("", 0, 0, id="empty"),
        pytest.param(PROMPTS[P].text, 0, 0, id="prompt echo"),
        pytest.param(
            "\n".join(f"{name}: {'; '.join(MAIL.split())}" for name in FIELDS),
            0,
            0.25,
            id="stuffing: every word everywhere",
        ),
        pytest.param("\n".join([PERFECT[P]] * 50), 0, 0.1, id="repetition × 50"),
        pytest.param(REFUSAL, 0, 0, id="refusal"),
        pytest.param(FILLER * 20, 0, 0, id="length alone"),
    ],
)
def test_what_is_missing_and_what_is_too_many_both_cost(answer: str, low: float, high: float) -> None:
    assert_between(P, answer, low, high)

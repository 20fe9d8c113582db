"""Grader `poem`: the form asked for, and more than form."""

import pytest

from tests.domain.grading.standard import FILLER, PERFECT, PROMPTS, REFUSAL, assert_between

P = "creative-writing"
POEM = PERFECT[P]
ONE_LINE = "Lamp and salt and silence of the night"


@pytest.mark.parametrize(
    ("answer", "low", "high"),
    [
        pytest.param(POEM, 1, 1, id="perfect"),
        pytest.param(f"```\n{POEM}\n```", 1, 1, id="fenced"),
        pytest.param(
            "\n".join(f"> *{line}*" if line else ">" for line in POEM.split("\n")), 0.9, 1, id="quoted, italic"
        ),
        pytest.param(f"Here is the poem you asked for:\n\n{POEM}\n\nI hope you enjoy it!", 0.9, 0.95, id="chatty"),
        pytest.param(f"**The Last Watch**\n\n{POEM}", 0.9, 0.95, id="with a title"),
        # partly right
        pytest.param(POEM.replace("\n\n", "\n"), 0.85, 0.97, id="one stanza"),
        pytest.param(
            POEM.replace("silence", "quiet").replace("Lift up the lamp", "Lift up the light"),
            0.85,
            0.95,
            id="two words left out",
        ),
        pytest.param(POEM.replace("Lift", "So lift").replace("Each", "Now each"), 0.85, 0.93, id="two letters off"),
        pytest.param("\n".join(POEM.split("\n")[:4]), 0.4, 0.7, id="half of it"),
        pytest.param(
            "The keeper climbs the winding stair tonight,\nWith salt and sea wind tangled in his hair;\n"
            "He trims the lamp and wipes the misted light,\nAnd no one else on all the rock is there.\n\n"
            "Tomorrow he will row back to the shore,\nWith weathered hands and little left to say;\n"
            "The silence settles where he slept before,\nThe tower keeps the darkness from the bay.",
            0.5,
            0.75,
            id="a good poem, not an acrostic",
        ),
        # form without a poem
        pytest.param("\n".join(f"{letter} is the letter" for letter in "LANTERNS"), 0, 0.65, id="letters only"),
        pytest.param(
            "\n".join([ONE_LINE] * 4) + "\n\n" + "\n".join([ONE_LINE] * 4), 0, 0.1, id="one line, eight times"
        ),
        pytest.param(
            "Lamp salt silence keeper light beam\nAll wave tide storm gull ship\nNight dark dawn fog wind star\n"
            "Tower stair rock cliff shore sea\n\nEvening lamp flame glass lens pane\nRock reef harbour bell horn deep\n"
            "Night silence salt lamp wave tide\nSea storm star wind gull dawn",
            0,
            0.35,
            id="keyword stuffing",
        ),
        # wrong
        pytest.param("Roses are red,\nviolets are blue.", 0, 0.15, id="another poem"),
        pytest.param("", 0, 0, id="empty"),
        pytest.param(PROMPTS[P].text, 0, 0, id="prompt echo"),
        pytest.param("\n\n".join([POEM] * 50), 0, 0.05, id="repetition × 50"),
        pytest.param(REFUSAL, 0, 0.1, id="refusal"),
        pytest.param(FILLER * 20, 0, 0.1, id="length alone"),
    ],
)
def test_a_poem_has_form_and_words(answer: str, low: float, high: float) -> None:
    assert_between(P, answer, low, high)

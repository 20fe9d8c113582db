"""Grader `explanation`: ideas that are explained, not words that are dropped."""

import pytest

from tests.domain.grading.standard import FILLER, PERFECT, PROMPTS, REFUSAL, assert_between

P = "explanation"

IN_OTHER_WORDS = [
    """The sky looks blue because of something called Rayleigh scattering. Sunlight may look white, but it's actually
    made of all the colors of the rainbow. When sunlight enters Earth's atmosphere, it bumps into gas molecules. Blue
    light has a shorter wavelength and gets scattered in all directions much more than red light. At sunset, sunlight
    passes through more of the atmosphere, so most of the blue light is scattered out of our line of sight, leaving reds
    and oranges. Violet light scatters even more than blue, but we don't see a violet sky because the sun emits less
    violet light, our eyes are less sensitive to violet, and some violet is absorbed in the upper atmosphere.""",
    """White sunlight contains all colors of the rainbow. As it passes through the atmosphere, it hits gas molecules
    that scatter it in every direction. Shorter wavelengths like blue are scattered far more strongly than longer ones
    like red, so blue light arrives from all over the sky.

    At sunset, sunlight travels a much longer path through the air. Along the way most of the blue gets scattered out
    of the beam, leaving mostly orange and red to reach your eyes.

    So why not violet? It scatters even more than blue, but the Sun emits less violet light, some of it is absorbed
    high in the atmosphere, and our eyes are less sensitive to violet than to blue. The result looks blue.""",
    """Think of sunlight as a mix of colours that travel as waves. Air is full of molecules, and they deflect short
    waves much more easily than long ones. Blue waves are short, so they get bounced around until blue light comes at
    you from everywhere: a blue sky. When the sun sets, its rays skim through a far thicker layer of air. Nearly all
    blue is deflected away before it arrives, and red, which is hardly deflected, gets through. Violet waves are even
    shorter, but there is less violet in sunlight, and our eyes respond to it poorly. Mixed with all that blue, we
    perceive the sky as blue.""",
]


@pytest.mark.parametrize("answer", IN_OTHER_WORDS)
def test_the_same_ideas_in_other_words_are_worth_the_same(answer: str) -> None:
    assert_between(P, answer, 0.87, 1)


@pytest.mark.parametrize(
    ("answer", "low", "high"),
    [
        pytest.param(PERFECT[P], 1, 1, id="perfect"),
        pytest.param(f"Great question!\n\n> {PERFECT[P]}\n\nDoes that make sense?", 0.95, 1, id="chatty, quoted"),
        pytest.param(PERFECT[P].replace(". ", "。").replace(",", "，"), 0.95, 1, id="full-width punctuation"),
        pytest.param(PROMPTS[P].text + "\n" + PERFECT[P], 1, 1, id="question repeated first"),
        # partly right
        pytest.param(
            "Air molecules scatter blue light much more than red light because it has a shorter wavelength. At sunset "
            "the light takes a longer way through the air, so that mostly red light remains for us to see.",
            0.45,
            0.65,
            id="half of it",
        ),
        pytest.param("The sky is blue because blue light is scattered more by the air.", 0.2, 0.3, id="one sentence"),
        pytest.param(
            PERFECT[P] + " Also, the sky is blue since it reflects the ocean like a mirror.",
            0.7,
            0.85,
            id="with an error",
        ),
        pytest.param(PERFECT[P] + " " + FILLER * 4, 0, 0.5, id="twice as long as allowed"),
        # wrong
        pytest.param("The sky is blue because it reflects the colour of the sea.", 0, 0, id="wrong"),
        pytest.param("", 0, 0, id="empty"),
        pytest.param(PROMPTS[P].text, 0, 0, id="prompt echo"),
        pytest.param(
            "Sunlight mixture all colours rainbow scattering Rayleigh air molecules nitrogen oxygen blue short "
            "wavelength scattered more strongly every direction sunset longer path atmosphere red orange remain "
            "violet eyes less sensitive sun emits less violet ozone absorbs",
            0,
            0.1,
            id="keyword stuffing",
        ),
        pytest.param(
            "Sunlight. Mixture. All colours. Scattering. Air molecules. Blue. Scattered more. Every direction. Sunset. "
            "Longer path. Red remains. Violet. Eyes less sensitive. Less violet.",
            0,
            0.3,
            id="keyword stuffing, in bits",
        ),
        pytest.param("The sky is blue. " * 50, 0, 0.05, id="one claim × 50"),
        pytest.param("\n".join([PERFECT[P]] * 50), 0, 0.05, id="repetition × 50"),
        pytest.param(REFUSAL, 0, 0, id="refusal"),
        pytest.param(FILLER * 20, 0, 0, id="length alone"),
    ],
)
def test_ideas_are_counted(answer: str, low: float, high: float) -> None:
    assert_between(P, answer, low, high)

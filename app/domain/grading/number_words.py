"""Numbers that are written as words, in English."""

from __future__ import annotations

from itertools import takewhile

from app.domain.grading.text import words

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
VALUES = {
    **{word: number for number, word in enumerate(_ONES.split())},
    **{word: 10 * number for number, word in enumerate(_TENS.split(), start=2)},
}
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}


def number_in_words(text: str) -> float | None:
    """The first number that is spelt out: `forty-three point six`; None: there is none."""
    spoken = words(text[:400])
    start = next((place for place, word in enumerate(spoken) if word in VALUES), None)
    if start is None:
        return None
    whole = list(takewhile(lambda word: word in VALUES or word in _SCALES or word == "and", spoken[start:]))
    behind = spoken[start + len(whole) :]
    digits = list(takewhile(lambda word: VALUES.get(word, 10) < 10, behind[1:])) if behind[:1] == ["point"] else []
    return _whole(whole) + (float("0." + "".join(str(VALUES[word]) for word in digits)) if digits else 0.0)


def _whole(spoken: list[str]) -> float:
    total = group = 0
    for word in spoken:
        if word in VALUES:
            group += VALUES[word]
        elif word == "hundred":
            group = max(group, 1) * 100
        elif word in _SCALES:
            total, group = total + max(group, 1) * _SCALES[word], 0
    return float(total + group)

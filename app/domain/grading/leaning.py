"""Whether an argument speaks for or against a thing: what rises and falls in it, and whether that is good."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from app.domain.grading.denial import Clauses, clauses, is_denied
from app.domain.grading.language import stem

#: words between what moves and how it moves
REACH = 3


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(word) for word in text.split())


#: `fewer errors`: of what stands right behind it
_AMOUNTS = {
    **dict.fromkeys(_stems("more higher extra better double added greater"), 1),
    **dict.fromkeys(_stems("less fewer lower reduced smaller no"), -1),
}
#: `errors fall`: of what stands before it
_MOVES = {
    **dict.fromkeys(_stems("rise rises rising rose grow climb soar surge jump up expand spike mount swell"), 1),
    **dict.fromkeys(
        _stems(
            "fall falls falling fell drop decline shrink sink slump dip vanish disappear collapse dwindle down plummet"
            " plunge worsen crumble nosedive tumble"
        ),
        -1,
    ),
}
#: `cuts errors`: of what stands behind it, or before it where it is passive
_ACTS = {
    **dict.fromkeys(
        _stems(
            "increase gain boost raise improve strengthen lift enhance heighten intensify add support promote sharpen"
        ),
        1,
    ),
    **dict.fromkeys(
        _stems(
            "reduce cut decrease lose weaken drain erode save prevent avoid lessen ease minimise minimize lighten"
            " halve trim eliminate curb avert relieve combat counter fight undermine destroy shorten"
        ),
        -1,
    ),
}
_GOOD_THINGS = _stems(
    "productivity focus morale satisfaction health wellbeing energy retention talent motivation loyalty output capacity"
    " revenue availability coverage quality creativity balance efficiency applicant candidate trust"
    " income profit margin"
    " concentration performance engagement happiness throughput applications responsiveness"
)
_BAD_THINGS = _stems(
    "burnout stress turnover sick absence absenteeism cost expense overtime pressure waste wasted distraction fatigue"
    " conflict resentment backlog risk error mistake bug emission overhead rent churn complaint exhaustion workload"
    " tension illness bill quits resignations strain friction attrition frustration vacancies illnesses"
)
_GOOD = _stems(
    "happy happier rested attractive easier delighted pleased loyal fresher motivated healthy healthier improve benefit"
    " attract recharge recover refreshed sharper efficient productive enthusiastic energised energized thrilled love"
    " appeal outperform thrive happily calmer relaxed smoother effortless win retain"
)
_BAD = _stems(
    "scared neglected frustrated frustrate harder difficult annoyed suffer strain overload slip miss unavailable"
    " unreachable lose expensive dearer resent unfair hurt harm damage annoy worse bad deter repel unanswered stressed"
    " exhausted tired lazy bored idle cram squeeze late slower behind unhappy angry wait delay delayed"
)


def leaning(argument: str) -> int:
    """Above 0: for; below 0: against; 0: it cannot be told."""
    said = clauses(argument)
    stems = [_stem(word) for word in said.words]
    return sum(_valued(said, stems, place) for place in range(len(stems)))


@lru_cache(maxsize=20_000)
def _stem(word: str) -> str:
    return stem(word)


def _valued(said: Clauses, stems: Sequence[str], place: int) -> int:
    sign = -1 if is_denied(said, place) else 1
    if moved := _moved(stems, place):
        return sign * moved
    if stems[place] in _GOOD:
        return sign
    return -sign if stems[place] in _BAD else 0


def _moved(stems: Sequence[str], place: int) -> int:
    """1 where a good thing rises or a bad one falls, -1 the other way, 0 where nothing that has a value moves."""
    word = stems[place]
    behind, before = stems[place + 1 : place + 1 + REACH], stems[max(0, place - REACH) : place][::-1]
    if word in _AMOUNTS:
        return _AMOUNTS[word] * _value(behind[:2])
    if word in _MOVES:
        return _MOVES[word] * (_value(before) or _value(behind))
    return _ACTS[word] * (_value(behind) or _value(before)) if word in _ACTS else 0


def _value(near: Sequence[str]) -> int:
    """1 for a good thing, -1 for a bad one: the nearest; 0: there is none."""
    return next((1 if word in _GOOD_THINGS else -1 for word in near if word in _GOOD_THINGS | _BAD_THINGS), 0)

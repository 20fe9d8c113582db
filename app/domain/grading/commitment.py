"""What an answer commits itself to where it names right and wrong things: denied, compared, retracted, left open."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

#: characters around a mention that are looked at
NEAR = 70

_DENIED_BEFORE = re.compile(
    r"\b(?:not|isn't|wasn't|aren't|can't be|cannot be|couldn't be|never|nicht|pas|no longer|rather than"
    r"|instead of|other than|"
    r"anything but|except|nor|neither|nowhere near|ruled? out|ruling out|exclud\w+|don't say|isn’t|nobody says|hardly|"
    r"far from being|wrong to say|false that|untrue that|myth that|mistake to say|disagree(?: with| that)?)"
    r"(?:[ \t]+[\w'-]+){0,2}?[ \t]*[\"'(*_]*$"
)
_DENIED_AFTER = re.compile(
    r"^[\s,\"')*_-]{0,6}(?:(?:which |that |this )?(?:is|was|would be|are|seems|'s)(?: just| simply|"
    r" clearly| definitely| of course| plainly| the)? )?"
    r"(?:wrong|incorrect|false|mistaken|untrue|not (?:right|correct|it|true|the (?:answer|capital|one|case))|"
    r"(?:a|the) (?:common |popular |usual )?(?:myth|mistake|misconception|wrong answer|error)|no longer|"
    r"(?:is not|isn't|wasn't|was not|can't be|cannot be|could not be|used to be|never was)"
    r"(?: (?:the |a )?(?:answer|capital|right|correct|it|true|slowest|one|element|symbol|case)|[.,;!)]|$))"
)
_COMPARED = re.compile(
    r"\b(?:ahead of|than|followed by|before|after|beat(?:s|ing)?|over|unlike|compared (?:to|with)|versus|vs\.?|"
    r"surpass\w+|exceed\w*|outrank\w*|despite|as opposed to|confus\w+ (?:\w+ ){0,2}(?:with|for)|mistak\w+ for|besides|"
    r"next (?:is|comes)|then (?:come|comes)|second (?:is|comes)|runner-up (?:is|being)|between|from|near|outside|with)"
    r"[ \t]+(?:(?:the|both|even|only|also|neighbouring)[ \t]+){0,2}(?:[\w'-]+,? (?:and|or|nor) (?:the )?)?[\"'(*_]*$"
)
#: `many think it is …`: what others get wrong
_OTHERS = re.compile(
    r"\b(?:(?:many|most|lots of|plenty of|a lot of)(?: \w+)?|people|everyone|everybody|you might|one"
    r" might|you may|often|commonly|"
    r"popularly|widely|mistakenly|wrongly|at first i|i first|i initially|initially i|i used to)"
    r"[^.;!?\n]{0,45}$|\b(?:though|although|while|even if)\b[^.,;!?\n]{0,45}$"
)
#: `some say …`: what is left open
_OPEN = re.compile(
    r"\b(?:some|others|certain sources|a few)\b[^.;!?\n]{0,25}\b(?:say|says|claim|argue|maintain|insist"
    r"|answer|name|would say|"
    r"prefer)\b[^.;!?\n]{0,20}$|\b(?:or|perhaps|maybe|possibly|alternatively|might be|could be|may be"
    r"|could also be|might also be|"
    r"either|oder|ou|unless it(?:'s| is))\b[^.;!?\n]{0,22}$"
)
_CHOICE = re.compile(r"^[\s,;/&|.()\"'*_-]*(?:(?:or|and|oder|und|ou|et|o|y|perhaps|maybe)\b[\s,;/]*)?(?:the\s)?$")
_ASIDE = re.compile(
    r"^[\s,\"')*_-]{0,4}(?:(?:in contrast|by contrast|on the other hand|meanwhile|too|also"
    r"|however),?\s)?(?:is|was|has|had|are|have|comes?|lies|being|spans?|covers?|turns?|rotates?|takes?"
    r"|with|which|\(|follows?)\b"
)
_DECLARED = re.compile(
    r"\b(?:answer (?:is|should be|must be)|it's|it is|should be|must be|that's|make that|so|is actually)["
    r" \t]+(?:the )?$"
)
RETRACTED = re.compile(
    r"\b(?:wait|scratch that|correction|corrected|i meant?|let me (?:correct|rethink|redo)|on second"
    r" thoughts?|strike that|make that|oops|"
    r"i take (?:that|it) back|my mistake|sorry|edit|or rather|hang on|hold on|to correct myself|check that)\b"
    r"|(?:^|[\s.,;(-])no[,.!:-]|\bno - |\? no\b"
)
_TURN = re.compile(r"\b(?:but|however|instead|actually|rather|correct|correction|really|in fact|in truth|yet)\b")
_CONFIRMED = re.compile(r"\b(?:yes|correct|right|confirmed|stands|holds|indeed)\b")


class Said(StrEnum):
    ASSERTED = "asserted"
    #: in words as another's error, or as what the answer is compared with
    BESIDE = "beside"
    OPEN = "open"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Mention:
    """Of a right or a wrong thing, at a place of a text in lower case."""

    right: bool
    start: int
    end: int


def how_said(text: str, mention: Mention) -> Said:
    before, after = text[max(0, mention.start - NEAR) : mention.start], text[mention.end : mention.end + NEAR]
    sentence = re.split(r"[.;!?\n]\s", before)[-1]
    if _DENIED_BEFORE.search(sentence) or _DENIED_AFTER.search(after):
        return Said.DENIED
    if _COMPARED.search(sentence) or _OTHERS.search(sentence):
        return Said.BESIDE
    return Said.OPEN if _OPEN.search(sentence) else Said.ASSERTED


def credit(text: str, mentions: Sequence[Mention], hedged: float) -> float:
    """1: the right thing is what the text commits itself to; `hedged`: a wrong one is left open beside it; else 0."""
    said = [(mention, how_said(text, mention)) for mention in mentions]
    committed: Mention | None = None
    is_open = False
    for mention, how in said:
        if how in (Said.DENIED, Said.BESIDE):
            continue
        if committed is None or mention.right == committed.right:
            committed = mention
            continue
        between = text[committed.end : mention.start]
        if RETRACTED.search(between) or (how is Said.ASSERTED and _TURN.search(between)):
            committed, is_open = mention, False
        elif how is Said.OPEN or not committed.right or _stands_as_an_answer(text, between, mention):
            is_open = True
    if committed is None or not (committed.right or is_open) or _taken_back(text, committed):
        return 0.0
    return hedged if is_open else 1.0


def _stands_as_an_answer(text: str, between: str, mention: Mention) -> bool:
    """Whether a second thing is offered like the first: joined to it, declared, or a sentence of its own."""
    if _ASIDE.match(text[mention.end :]):
        return False
    alone = re.split(r"[.;!?\n]", text[mention.end : mention.end + 30])[0].strip(" \"')*_,-") == ""
    return bool(
        _CHOICE.match(between + " ")
        or _DECLARED.search(between)
        or (alone and re.search(r"[.;!?\n-]\W*(?:the )?$", between))
    )


def _taken_back(text: str, committed: Mention) -> bool:
    """`Canberra. No wait, Adelaide.`"""
    behind = text[committed.end : committed.end + 300]
    return committed.right and RETRACTED.search(behind) is not None and _CONFIRMED.search(behind) is None

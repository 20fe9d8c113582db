"""Takes the model's thinking aloud from an answer, under whatever name it stands there.

What is behind the last end of thinking is the answer, whether or not its beginning was sent: some servers eat it.
Thinking that never ends holds no answer, unless a line says plainly that the answer begins.
"""

from __future__ import annotations

import re

_NAMES = (
    r"(?:antml:|seed:|begin_of_)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|reflect|scratch_?pad|analysis|"
    r"inner_?monologue|internal_?monologue|deliberation|chain_?of_?thought|cot|planning"
    r"|brainstorm(?:ing)?|notes_to_self)"
)
#: `<think>`, `[THINK]`, `◁think▷`, `<|begin_of_thought|>`, `<|channel|>analysis<|message|>`
_OPENING = re.compile(
    rf"<\|?{_NAMES}\|?(?:\s[^<>]{{0,100}})?>|\[{_NAMES}\]|◁{_NAMES}▷|<\|channel\|>(?:analysis|commentary)<\|message\|>"
    r"|<details[^<>]{0,100}>\s{0,20}<summary>[^<>]{0,40}(?:think|thought|reason)[^<>]{0,40}</summary>",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    rf"</\s?{_NAMES}\s?>|<\|/{_NAMES}\|>|<\|end_?of_?(?:thought|thinking|reasoning)\|>|\[/{_NAMES}\]|◁/{_NAMES}▷"
    r"|<\|channel\|>final<\|message\|>|^[ \t]{0,8}\.{3}\s?done thinking\.?[ \t]{0,8}$",
    re.IGNORECASE | re.MULTILINE,
)
_FOLDED = re.compile(r"</details\s?>", re.IGNORECASE)
#: `## Final answer`, `Final response: …`, `Here is my final answer:`; not `Answer:`, which thinking is full of
_ANSWER_BEGINS = re.compile(
    r"^[ \t#*_>=-]{0,12}(?:(?:so )?here(?: is|'s) (?:my|the) )?(?:final|actual) (?:answer|response|output|reply)"
    r"[*_ \t]{0,8}(?::[*_ \t]{0,8}|$)",
    re.IGNORECASE | re.MULTILINE,
)
#: what some templates leave around the answer itself
_WRAPPING = re.compile(
    r"</?(?:answer|final_?answer|final|response|output|result|solution)\s?>|<\|(?:begin|end)_of_(?:solution|text)\|>"
    r"|<\|(?:im_end|im_start|return|end|start|eot_id|endoftext)\|>|^<s>|</s>$",
    re.IGNORECASE,
)


def without_reasoning(text: str) -> str:
    """The answer alone; empty where there is thinking and nothing else."""
    ends = [*_CLOSING.finditer(text)]
    opening = _OPENING.search(text)
    if opening and opening[0].lower().startswith("<details"):
        ends += [*_FOLDED.finditer(text, opening.end())][:1]
    if ends:
        behind = text[max(end.end() for end in ends) :]
        return _WRAPPING.sub("", behind if behind.strip() or opening is None else text[: opening.start()])
    if opening:
        return _WRAPPING.sub("", _begun(text[opening.end() :]) or text[: opening.start()])
    return _WRAPPING.sub("", text) if "<" in text else text


def _begun(thinking: str) -> str:
    """What follows the last line that says that the answer begins."""
    begins = [*_ANSWER_BEGINS.finditer(thinking)]
    return thinking[begins[-1].end() :] if begins else ""

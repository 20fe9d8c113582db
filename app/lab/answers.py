"""What a simulated provider says: answers of a chosen quality to the standard prompts, a stand-in to all others."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

#: how far one answer may be better or worse than its provider on average, before levels are mixed
SPREAD = 0.15

_DATA = Path(__file__).with_name("answers.toml")
_SENTENCES = (
    "Nothing in it was computed by a language model, so do not rely on its content.",
    "The provider that would have answered is simulated, because no API key is set for it.",
    "Latency, errors and price follow the profile that was set for this provider in the lab.",
    "With a key in the environment, the same request would go to the real provider.",
    "The length of this text varies, so that token counts and costs vary as they do in real life.",
    "Use `tooloo lab show` to see the profile, and `tooloo lab set` to change it while it runs.",
    "Only the ten standard benchmark prompts get an answer with real content here.",
)


@dataclass(frozen=True, slots=True)
class Level:
    """Answers to one prompt that are equally good."""

    #: what app.domain.grading gives each of them
    grade: float
    texts: tuple[str, ...]


def answer(prompt_text: str, quality: float, rng: random.Random, *, temperature: float | None = None) -> str:
    """An answer whose grade, on average over many draws, is `quality`.

    Levels of quality are drawn at random at every temperature; at temperature 0 a level has but one wording. To a
    prompt that is not a standard one, letter by letter, the answer is a text that says that it is simulated.
    """
    known = levels(prompt_text)
    if not known:
        return _stand_in(prompt_text, rng)
    texts = _drawn(known, min(1.0, max(0.0, quality)), rng).texts
    return texts[0] if temperature == 0 else rng.choice(texts)


def levels(prompt_text: str) -> tuple[Level, ...]:
    """The levels of answers to a standard prompt, best first; none for any other prompt."""
    return _by_fingerprint().get(sha256(prompt_text.strip().encode("utf-8", "replace")).hexdigest(), ())


def _drawn(known: Sequence[Level], quality: float, rng: random.Random) -> Level:
    """One of the two levels around a target near `quality`, so often that the mean grade is the target."""
    room = max(0.0, min(SPREAD, known[0].grade - quality, quality - known[-1].grade))
    target = quality + rng.uniform(-room, room)
    for better, worse in pairwise(known):
        if target >= worse.grade:
            share = (target - worse.grade) / (better.grade - worse.grade)
            return better if rng.random() < share else worse
    return known[-1]


@lru_cache(maxsize=1)
def _by_fingerprint() -> Mapping[str, tuple[Level, ...]]:
    blocks = tomllib.loads(_DATA.read_text(encoding="utf-8"))
    return {
        block["text_sha256"]: tuple(
            Level(level["grade"], tuple(text.strip() for text in level["texts"])) for level in block["levels"]
        )
        for block in blocks.values()
    }


def _stand_in(prompt_text: str, rng: random.Random) -> str:
    words = prompt_text[:400].split()
    asked = " ".join(words[:12]) + (" …" if len(words) > 12 else "")
    opening = f"Simulated answer: this is a reply to “{asked}” from a simulated provider."
    return " ".join([opening, *rng.sample(_SENTENCES, rng.randint(0, len(_SENTENCES)))])

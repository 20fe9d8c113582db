"""Prompts shuffled into a stream of requests and benchmark rounds, in which something changes at one request.

A round asks every model the same prompts, which are never live requests; they are drawn afresh for each round, or are
the same every time. What changes, unknown to the policy: a model's answers become those of a weaker one at the same
price (a silent regression), a model's price falls, or a model appears that was not there.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from app.domain.replay.prompts import Answer, Question
from app.domain.routing.ceiling import Offer, best_mix

Kind = Literal["steady", "regression", "price-cut", "newcomer"]
KINDS: tuple[Kind, ...] = ("steady", "regression", "price-cut", "newcomer")
#: of the former price, after a cut
CUT = 0.2


@dataclass(frozen=True, slots=True)
class Change:
    """What happens at request `at` of the stream."""

    kind: Kind
    at: int
    #: to whom; empty where nothing changes
    model: str = ""
    #: of a regression: whose answers it gives from then on
    weaker: str = ""

    def answers(self, given: Mapping[str, Answer], request: int) -> Mapping[str, Answer]:
        """What each model answers at that request."""
        if self.kind == "newcomer" and request < self.at:
            return {model: answer for model, answer in given.items() if model != self.model}
        if request < self.at or self.kind in {"steady", "newcomer"}:
            return given
        mine = given[self.model]
        if self.kind == "regression":
            return {**given, self.model: mine._replace(quality=given[self.weaker].quality)}
        return {**given, self.model: mine._replace(cost_usd=mine.cost_usd * CUT)}


@dataclass(frozen=True, slots=True)
class Round:
    """Before request `at`."""

    at: int
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Stream:
    requests: tuple[Question, ...]
    rounds: tuple[Round, ...]
    #: requests from round to round
    every: int
    change: Change

    def at(self, request: int) -> Mapping[str, Answer]:
        """What each model that is there answers to that request."""
        return self.change.answers(self.requests[request].answers, request)

    def within(self, first: int, last: int) -> Sequence[Mapping[str, Answer]]:
        return [self.at(request) for request in range(first, last)]


def stream(questions: Sequence[Question], seed: int, every: int, per_round: int, *, fixed: bool = False) -> Stream:
    """Raises ValueError where there are not enough prompts for two rounds."""
    shuffled = list(questions)
    random.Random(f"prompts-{seed}").shuffle(shuffled)
    if fixed:
        count = max(0, -(-(len(shuffled) - per_round) // every))
        held, requests = shuffled[:per_round], shuffled[per_round:]
        asked = [tuple(held)] * count
    else:
        count = max(0, -(-len(shuffled) // (every + per_round)))
        count -= len(shuffled) <= count * per_round  # the last round would have no request behind it
        held, requests = shuffled[: count * per_round], shuffled[count * per_round :]
        asked = [tuple(held[place * per_round : (place + 1) * per_round]) for place in range(count)]
    if count < 2:
        raise ValueError(f"{len(questions)} prompts are too few for two rounds of {per_round}, {every} requests apart")
    rounds = tuple(Round(at * every, asked[at]) for at in range(count) if at * every < len(requests))
    return Stream(tuple(requests), rounds, every, Change("steady", len(requests)))


def changing(whole: Stream, kind: Kind, ceiling_usd: float) -> Stream:
    """The same stream, with a change in its middle that matters at this ceiling.

    The model that regresses, to the weakest there is, is the one that the best mixture of two uses most; the one that
    appears is the one it would miss most; the price that falls is that of the best model it has no money for.
    """
    if kind == "steady":
        return whole
    middle = len(whole.requests) // 2
    offers = means(whole.within(0, len(whole.requests)), whole.requests[0].answers)
    mix = mixture(offers, ceiling_usd)
    main = max(mix, key=lambda model: (mix[model], model))
    if kind == "newcomer" and len(offers) > 1:
        main = min(mix, key=lambda model: (reward({m: offers[m] for m in offers if m != model}, ceiling_usd), model))
    if kind == "price-cut":
        dear = [model for model in offers if mix.get(model, 0.0) < 0.5 and offers[model].cost_usd > ceiling_usd / 2]
        main = max(dear or offers, key=lambda model: (offers[model].value, model))
    weakest = min(offers, key=lambda model: (offers[model].value, model))
    return replace(whole, change=Change(kind, middle, main, weakest))


def mixture(offers: Mapping[str, Offer], ceiling_usd: float) -> Mapping[str, float]:
    """The best that two models can do together, of means that are known."""
    return best_mix({"": (1.0, offers)}, ceiling_usd)[1][""]


def reward(offers: Mapping[str, Offer], ceiling_usd: float) -> float:
    """Of the best mixture of two."""
    return sum(share * offers[model].value for model, share in mixture(offers, ceiling_usd).items())


def means(answers: Sequence[Mapping[str, Answer]], models: Collection[str]) -> dict[str, Offer]:
    """Mean grade and cost of each model over the same requests."""
    count = len(answers)
    return {
        model: Offer(
            sum(given[model].quality for given in answers) / count,
            sum(given[model].cost_usd for given in answers) / count,
        )
        for model in models
    }

"""One policy on a stream of prompts: TooLoo itself under a ceiling, and what is known to hindsight beside it.

Of a live request the policy sees what the model that it chose cost, and no grade; of a round all grades. Reward is the
grade of the answer that was given.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from app.domain.catalog import Target, TaskType
from app.domain.evidence.references import declared
from app.domain.optimizer import optimizer
from app.domain.outcome import Outcome, Source
from app.domain.policy import Policy
from app.domain.replay.prompt_stream import Stream, means
from app.domain.replay.prompts import Answer, Question
from app.domain.replay.replay import EPOCH, Served
from app.domain.replay.trace import Header
from app.domain.routing import router
from app.domain.routing.ceiling import Offer, best_mix

#: seconds from round to round, whatever number of requests that is
INTERVAL_S = 3600.0
#: ms; of every answer, as the data has none
LATENCY_MS = 1.0


class Steered(Served):
    """The router under a ceiling, with the objective that the data can show: the grade, and nothing else."""

    def __init__(self, models: Sequence[str], ceiling_usd: float | None, policy: Policy, rng: random.Random) -> None:
        objective = replace(declared(policy.objective), latency=0.0, cost=0.0, max_cost_usd=ceiling_usd)
        header = Header("prompts", tuple(models), objective, INTERVAL_S, simulated=False, changes=())
        super().__init__(header, replace(policy, objective=objective), rng)
        self.targets = {model: Target("prompts", model) for model in models}

    def ask(self, at_s: float, question: Question, answers: Mapping[str, Answer]) -> str:
        """The model that is asked, of those that are there; what it cost is learned."""
        now, there = EPOCH + timedelta(seconds=at_s), [self.targets[model] for model in answers]
        plan = router.plan(self.config, there, self.card, self.breakers, self.policy, now, task=question.task)
        target = router.route(plan, self.rng, now).order[0]
        cost_usd = answers[target.model].cost_usd
        outcome = Outcome(target, Source.LIVE, now, True, LATENCY_MS, question.task, cost_usd=cost_usd)
        payment = self.card.payment(now, question.task, cost_usd, target, self.policy)
        self.card = self.card.paid([payment], self.policy).observe([outcome], self.policy)
        return target.model

    def measure(self, at_s: float, table: Sequence[tuple[TaskType, Mapping[str, Answer]]]) -> None:
        """A benchmark round: every model that is there, the same prompts."""
        now = EPOCH + timedelta(seconds=at_s)
        outcomes = [
            Outcome(
                self.targets[model], Source.BENCHMARK, now, True, LATENCY_MS, task,
                cost_usd=answer.cost_usd, quality=answer.quality,
            )
            for task, answers in table
            for model, answer in answers.items()
        ]  # fmt: skip
        before, self.card = self.card, self.card.close_round(outcomes, self.policy)
        routing = self.config.global_
        result = optimizer.optimize(
            self.state, before, self.card, outcomes, routing.provider_weights, routing.exploration_rate, self.policy,
            complete=True, now=now,
        )  # fmt: skip
        self.state = result.state
        update = {"provider_weights": result.weights, "exploration_rate": result.exploration_rate}
        self.config = self.config.model_copy(update={"global_": routing.model_copy(update=update)})


@dataclass(frozen=True, slots=True)
class Run:
    """What TooLoo did on a stream."""

    stream: Stream
    ceiling_usd: float | None
    chosen: tuple[str, ...]

    def paid(self) -> list[float]:
        """USD, request by request."""
        return [self.stream.at(request)[model].cost_usd for request, model in enumerate(self.chosen)]

    @property
    def reward(self) -> float:
        return sum(self.stream.at(n)[model].quality for n, model in enumerate(self.chosen)) / len(self.chosen)

    @property
    def cost_usd(self) -> float:
        return sum(self.paid()) / len(self.chosen)


def run(stream: Stream, ceiling_usd: float | None, policy: Policy, seed: int) -> Run:
    steered = Steered(tuple(stream.requests[0].answers), ceiling_usd, policy, random.Random(seed))
    chosen = []
    rounds = {each.at: each for each in stream.rounds}
    for request, question in enumerate(stream.requests):
        at_s = request * INTERVAL_S / stream.every
        if request in rounds:
            asked = rounds[request].questions
            steered.measure(at_s, [(each.task, stream.change.answers(each.answers, request)) for each in asked])
        chosen.append(steered.ask(at_s, question, stream.at(request)))
    return Run(stream, ceiling_usd, tuple(chosen))


def hindsight(stream: Stream, ceiling_usd: float) -> dict[str, float]:
    """Mean reward at the ceiling of who knows all grades and costs: by two models, per category, per prompt."""
    count = len(stream.requests)
    every = stream.within(0, count)
    models = stream.requests[0].answers
    by_category: dict[str, list[Mapping[str, Answer]]] = {}
    for question, answers in zip(stream.requests, every, strict=True):
        by_category.setdefault(question.category, []).append(answers)
    menus: dict[str, dict[Any, tuple[float, Mapping[str, Offer]]]] = {
        "mixture": {"": (1.0, means(every, models))},
        "perCategory": {name: (len(mine) / count, means(mine, models)) for name, mine in by_category.items()},
        "oracle": {number: (1 / count, _offers(answers)) for number, answers in enumerate(every)},
    }
    return {name: _bought(menu, ceiling_usd) for name, menu in menus.items()}


def _offers(answers: Mapping[str, Answer]) -> dict[str, Offer]:
    return {model: Offer(answer.quality, answer.cost_usd) for model, answer in answers.items()}


def _bought(menus: Mapping[Any, tuple[float, Mapping[str, Offer]]], ceiling_usd: float) -> float:
    _, mixes = best_mix(menus, ceiling_usd)
    parts = [(share, mixes[key], offers) for key, (share, offers) in menus.items()]
    return sum(share * part * offers[model].value for share, mix, offers in parts for model, part in mix.items())

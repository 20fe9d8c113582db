"""The ranking of targets: gate, scores, near ties, and who is worth a look; the formulas of docs/routing.md."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from app.domain.catalog import Target, TaskType
from app.domain.config.runtime_config import RuntimeConfig, Weights
from app.domain.evidence.evidence import Evidence, mean_cost_usd
from app.domain.evidence.scorecard import Scorecard
from app.domain.policy import Policy
from app.domain.routing import ceiling, scoring
from app.domain.routing.breaker import State
from app.domain.routing.plan import Candidate, Plan
from app.domain.routing.scoring import Features, Figures
from app.domain.routing.shrinkage import Graded, shrunk

#: of a target of which nothing is known: that all of ten calls succeeded is no reason for doubt
USUAL_SUCCESS = 0.98
NO_ANSWER = "it has not answered yet"


class Ranking:
    """The usable targets, ranked by what is known of them."""

    def __init__(
        self,
        config: RuntimeConfig,
        usable: Sequence[Target],
        states: Mapping[Target, State],
        evidence: Mapping[Target, Evidence],
        policy: Policy,
        card: Scorecard,
        segment: str | None,
        task: TaskType,
    ) -> None:
        self.config, self.states, self.evidence, self.policy = config, states, evidence, policy
        self.card, self.segment, self.task = card, segment, task
        self.weights = _weights(config, segment)
        self.pacing: ceiling.Pacing | None = None
        closed = {t: known for t, known in evidence.items() if states[t] != "open"}
        self.refused = _silent(closed) | scoring.gate(closed, policy)
        eligible = [t for t in closed if t not in self.refused] or list(closed or evidence)
        figures = scoring.figures(evidence, policy.objective)
        self.figures = figures
        self.utilities = {t: scoring.utility(known, policy.objective) for t, known in figures.items()}
        self.lean = scoring.effective(self.weights, policy)
        self.scores = {t: scoring.score(self._own(t), scoring.features(figures[t])) for t in eligible}
        by_score = sorted(eligible, key=lambda t: -self.scores[t])
        self.ties = self._leaders(by_score)
        self.ranked = [*self.ties, *(t for t in by_score if t not in self.ties)]
        self.unseen = [t for t in usable if t not in evidence]
        behind = sorted((t for t in evidence if t not in self.scores), key=lambda t: -evidence[t].success)
        self.order = sorted([*self.ranked, *self.unseen, *behind], key=lambda t: states[t] == "open")

    def _own(self, target: Target) -> Features:
        """The effective weights for this target."""
        mine = self.config.providers.get(target.provider)
        if mine is None or mine.weights is None:
            return self.lean
        return scoring.effective(mine.weights, self.policy)

    def _leaders(self, by_score: Sequence[Target]) -> list[Target]:
        """Those that share first place: among scores closer than the noise the objective decides, as far as it can."""
        limits, utilities = self.policy.score, self.utilities
        close = [t for t in by_score if self.scores[by_score[0]] - self.scores[t] <= limits.noise]
        best = max(close, key=utilities.__getitem__)
        return [best, *(t for t in close if t != best and utilities[best] - utilities[t] <= limits.near_tie)]

    def menu(self, most_usd: float) -> ceiling.Menu:
        """What may be chosen, by the objective, and who has first place without a ceiling.

        Those that the gate refused are in it where all others cost more than the ceiling: it is to be held.
        """
        able = [t for t in self.ranked if self.states[t] != "open"] or list(self.ranked)
        costs = {t: self._mean_cost_usd(t) for t in self.evidence}
        if min(costs[t] for t in able) > most_usd:
            able += [t for t in self.refused if t not in able]
        better = self._drawn_to_prices(able, costs)
        offers = {t: ceiling.Offer(self.utilities[t] + better.get(t, 0.0), costs[t]) for t in able}
        return ceiling.Menu(offers, tuple(t for t in self.ties if t in offers) or tuple(able[:1]))

    def _drawn_to_prices(self, able: Sequence[Target], costs: Mapping[Target, float]) -> dict[Target, float]:
        """What is to be added to utilities whose grades are partly chance."""
        graded = {
            t: Graded(known.quality, known.quality_variance / max(known.quality_mass, 1.0), costs[t])
            for t, known in self.evidence.items()
            if t in able and known.quality is not None
        }
        return {t: self.evidence[t].success * (q - graded[t].quality) for t, q in shrunk(graded).items()}

    def _mean_cost_usd(self, target: Target) -> float:
        """Over all task types; what each of them costs in terms of it, the ceiling knows by what was paid."""
        mean_usd = mean_cost_usd(self.card.evidence[target], self.policy.objective)
        return self.figures[target].cost_usd if mean_usd is None else mean_usd

    def within(self, pacing: ceiling.Pacing) -> Ranking:
        """Ranked by utility less the price of money: those that the ceiling divides the requests between come first."""
        self.pacing = pacing
        if pacing.binds:
            self.utilities = {t: u - pacing.price * self._mean_cost_usd(t) for t, u in self.utilities.items()}
            self.ties = [t for t, _ in pacing.mix]
            rest = sorted((t for t in self.ranked if t not in self.ties), key=lambda t: -self.utilities[t])
            self.ranked = [*self.ties, *rest]
            behind = [t for t in self.order if t not in self.ranked]
            self.order = sorted([*self.ranked, *behind], key=lambda t: self.states[t] == "open")
        return self

    def plan(self, now: datetime) -> Plan:
        rate, calls_per_round = self.config.effective_exploration_rate, self.card.calls_per_round
        ties = [t for t in self.ties if self.states[t] != "open"] or self.order[:1]
        explorable = [t for t in self.unseen if self.states[t] != "open" and t not in ties]
        if calls_per_round is None or calls_per_round * rate >= self.policy.exploration.least_per_round:
            explorable += self._worth_a_look(rate, now)
        pacing = self.pacing
        if pacing is not None and pacing.binds:
            explorable, pacing = self._affordable(explorable, rate, pacing)
        return Plan(
            candidates=tuple(self._candidate(t) for t in self.order),
            ties=tuple(ties),
            explorable=tuple(explorable) if rate > 0 else (),
            exploration_rate=rate,
            at=now,
            lead=self._lead(ties),
            explores=self._explores(explorable[0]) if explorable else "",
            task=self.task,
            segment=self.segment,
            pacing=pacing,
            weights=self.weights,
            policy=self.policy,
        )

    def _affordable(
        self, explorable: list[Target], rate: float, pacing: ceiling.Pacing
    ) -> tuple[list[Target], ceiling.Pacing]:
        """Nothing dearer than the ceiling is explored, and the mix pays for what is."""
        costs = {t: self._mean_cost_usd(t) for t in self.figures}
        dearest = max(costs.values())
        explorable = [t for t in explorable if costs.get(t, dearest) <= pacing.ceiling_usd]
        if explorable:
            pacing = pacing.beside(rate, costs.get(explorable[0], dearest), costs)
        return explorable, pacing

    def _lead(self, ties: Sequence[Target]) -> str:
        if self.pacing is not None and self.pacing.binds:
            return self.pacing.reason
        if len(ties) > 1:
            return f"one of {len(ties)} near ties"
        first = ties[0]
        if first not in self.scores:
            return "never measured: the breaker of every measured target is open"
        if self.evidence[first].last_success_at is None:
            return "nobody has answered yet"
        best = max(self.scores.values())
        near = sum(best - score <= self.policy.score.noise for score in self.scores.values())
        why = "best score" if self.scores[first] == best else f"best utility of {near} near scores"
        return why if self.states[first] != "open" else f"{why}: every breaker is open"

    def _explores(self, target: Target) -> str:
        if target not in self.evidence:
            return "explores: never measured"
        return f"explores: {'it answers well again' if self.evidence[target].good_looks else 'longest unseen'}"

    def _candidate(self, target: Target) -> Candidate:
        known, state = self.evidence.get(target), self.states[target]
        why = "no evidence yet" if known is None else self.refused.get(target, "")
        # who never answered has nothing that could be praised: not even the speed of its failures
        answered = known is not None and known.last_success_at is not None
        score = self.scores.get(target) if answered else None
        if known is not None and not answered and not why:
            why = NO_ANSWER
        return Candidate(
            target=target,
            score=score,
            utility=self.utilities.get(target) if answered else None,
            eligible=target in self.scores and target not in self.refused and state != "open",
            breaker=state,
            reasons=said(why, state),
            evidence=known,
            task=self.card.tasks.get(self.task, {}).get(target),
            feedback=self.card.feedback.get(target),
            figures=None if score is None else self.figures[target],
            lean=None if score is None else self._own(target),
        )

    def _worth_a_look(self, rate: float, now: datetime) -> list[Target]:
        """Those that may have become the best one since they were last seen; the longest unseen first.

        How far behind a target may be: by the error of what live calls could tell of it, and by the age of what is
        known, as a share of what choosing well is worth here (U_best − U_mean): where that is little, looking around
        costs as much as it can bring. Who asks for more exploration than the optimizer ever does, asks for targets that
        are further behind.
        """
        limits, best = self.policy.exploration, self.utilities[self.ties[0]]
        reach = max(1.0, rate / limits.raised)
        stake = best - sum(self.utilities[t] for t in self.scores) / len(self.scores)
        ages: dict[Target, float] = {}
        interval_s = self.policy.rounds.interval_s
        for target in self.ranked[len(self.ties) :]:
            age = self._age_s(target, now)
            margin = stake * limits.age_margin * math.sqrt(min(1.0, age / interval_s)) + self._error(target)
            if best - self.utilities[target] < margin * reach or self._would_lead_if_back(target):
                ages[target] = age
        again = [t for t in (*self.ranked[len(self.ties) :], *self.refused) if t not in ages]
        ages |= {target: self._age_s(target, now) for target in again if self._is_due_for_a_look(target)}
        return sorted(ages, key=lambda target: (not self.evidence[target].good_looks, -ages[target]))

    def _error(self, target: Target) -> float:
        """In utility: of its success and its latency, which live calls show; quality only rounds do."""
        known, limits = self.evidence[target], self.policy.exploration
        mass = known.mass + 1
        middle = (known.success * known.mass + USUAL_SUCCESS) / mass
        success = math.sqrt(middle * (1 - middle) / mass) * (1.0 if known.quality is None else known.quality)
        latency = self.policy.objective.latency * min(1.0, known.late.error)
        return limits.errors * math.hypot(success, latency)

    def _age_s(self, target: Target, now: datetime) -> float:
        """Seconds since it was last seen; never seen is as old as it gets."""
        seen = self.evidence[target].last_observed_at
        return self.policy.rounds.interval_s if seen is None else max(0.0, (now - seen).total_seconds())

    def _is_due_for_a_look(self, target: Target) -> bool:
        """Live traffic took it out of the lead: is it back? Now and then, and again at once while it answers well."""
        known = self.evidence[target]
        due = known.good_looks > 0 or self.card.calls - known.seen_at_call >= self.policy.breaker.trial_calls
        if not due or self.states[target] == "open" or known.usual_success is None:
            return False
        figures = self.figures[target]
        success = max(known.success, known.usual_success)
        latency_ms = min(filter(None, (known.latency_ms, known.baseline_ms)), default=figures.latency_ms)
        usual = self._at(figures, latency_ms)._replace(good=success * figures.quality)
        if not self._would_lead(target, usual):  # first, because it is the cheaper question and mostly the answer
            return False
        leader = self.ties[0]
        pair = {leader: self.evidence[leader], target: replace(known, success=success, needs_person=None)}
        return target not in scoring.gate(pair, self.policy)

    def _would_lead_if_back(self, target: Target) -> bool:
        """Would a target that became slow lead if it were as fast as it formerly was?"""
        known = self.evidence[target]
        formerly_ms = known.formerly_ms
        due = known.nearer_count > 0 or self.card.calls - known.seen_at_call >= self.policy.breaker.trial_calls
        if formerly_ms is None or not due:
            return False
        return self._would_lead(target, self._at(self.figures[target], formerly_ms))

    def _at(self, figures: Figures, latency_ms: float) -> Figures:
        """… if its answers took so long."""
        late = min(figures.late, latency_ms / self.policy.objective.latency_ref_ms)
        return figures._replace(latency_ms=latency_ms, late=late)

    def _would_lead(self, target: Target, figures: Figures) -> bool:
        """Would a target of these figures be ahead of the present leader?"""
        leader = self.ties[0]
        mine, its = scoring.features(figures), scoring.features(self.figures[leader])
        return scoring.score(self._own(target), mine) > scoring.score(self._own(leader), its)


def _silent(evidence: Mapping[Target, Evidence]) -> dict[Target, str]:
    """Nobody leads without a success, where others have one: what is known of it is what its failures cost."""
    silent = {t: NO_ANSWER for t, known in evidence.items() if known.last_success_at is None}
    return silent if len(silent) < len(evidence) else {}


def _weights(config: RuntimeConfig, segment: str | None) -> Weights:
    mine = config.segments.get(segment) if segment and config.features.user_segmentation else None
    return mine.weights if mine is not None and mine.weights is not None else config.global_.provider_weights


def said(why: str, state: State) -> tuple[str, ...]:
    if not why and state == "closed":
        return ()
    return tuple(filter(None, (why, "" if state == "closed" else f"breaker {state}")))

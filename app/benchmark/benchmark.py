"""MAIN PATH 1: start_round → run_probe → finish_round → optimize → publish, in the order of the data.

Postgres says what is to be done; a message only says that it may be time to look. So every step can be lost, doubled
or repeated by the reaper, and the round still ends once.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.benchmark import applying, judge, pacing, probing
from app.benchmark.planning import Affordable, Selection, affordable, selected_prompts, selected_targets
from app.benchmark.round_review import insight_json, review
from app.domain.catalog import Provider, Target
from app.domain.config.runtime_config import RuntimeConfig
from app.domain.evidence.scorecard import Scorecard
from app.domain.insight import Insight
from app.domain.optimizer import optimizer
from app.domain.optimizer.optimizer import Optimization
from app.domain.outcome import Outcome
from app.domain.policy import RoundPolicy
from app.domain.rounds import budget
from app.domain.rounds.measurement import own_trouble
from app.domain.rounds.rounds import Coverage, ProbeKey, coverage
from app.domain.routing import ceiling, router
from app.errors import Conflict, DependencyUnavailable, NoTarget, OverBudget
from app.evidence import scorecard
from app.live import live_config
from app.services import Services
from app.store import claims, database, history, outcomes, revisions, rounds
from app.store.claims import Claimed, Finished, Place, ProbeResult
from app.store.models import Probe, Round, RoundStatus
from app.store.rounds import NOT_RUN, WORKER_LOST

log = structlog.get_logger()
T = TypeVar("T")

#: how long a result waits for a lost Postgres before the reaper's second attempt is the better hope
RESULT_PATIENCE_S = 60.0
#: longer than the task's own time limit: an optimizer that dies is replaced when this is over
OPTIMIZE_LEASE = timedelta(seconds=75)
MAX_OPTIMIZE_ATTEMPTS = 3
#: triggers that are in turn; whatever else starts a round has a cooldown
IN_TURN = ("schedule", "manual", "startup")


# ── start_round ──────────────────────────────────────────────────────────────────────────────────────────────────────


def start_slot(services: Services) -> str | None:
    """Start the round of the current slot; None where it has one already (any number of beats may call this)."""
    return _plan_and_publish(services, "schedule", Selection(), in_slot=True)


def start_round(
    services: Services, trigger: str = "manual", selection: Selection | None = None, *, alone: bool = False
) -> str:
    """Start a round now, outside the slots; its id. Raises NoTarget, InvalidRequest, DependencyUnavailable.

    With `alone` it raises Conflict where another is under way.
    """
    round_id = _plan_and_publish(services, trigger, selection or Selection(), in_slot=False, alone=alone)
    assert round_id is not None  # only a slot can be taken
    return round_id


def request_extra_round(services: Services, trigger: str, reason: str) -> str | None:
    """Start a round out of turn, because something changed (`trigger`: drift, breaker); its id.

    None where one was started or skipped within the cooldown, where a round is under way and will tell, or where
    nothing can be measured or paid for. Any number of processes may ask at once: one of them gets a round.
    """
    try:
        return _plan_and_publish(services, trigger, Selection(), in_slot=False, out_of_turn=reason)
    except NoTarget as error:
        log.warning("no round out of turn", trigger=trigger, reason=str(error))
        return None


def _refuse_a_second(session: Session) -> None:
    """Two at once share the providers' limits, measure each other, and cost twice."""
    if running := rounds.open_rounds(session):
        raise Conflict(
            f"{running[0]} is under way: wait for its end, or measure beside it at full price with {{'beside': true}}",
            field="beside",
        )


def _plan_and_publish(
    services: Services,
    trigger: str,
    selection: Selection,
    *,
    in_slot: bool,
    out_of_turn: str | None = None,
    alone: bool = False,
) -> str | None:
    left_out = services.left_out(services.config.value)
    targets = selected_targets(services, selection, left_out)
    prompts = selected_prompts(services, selection)
    policy = services.policy.rounds
    with database.transaction(services.sessions) as session:
        rounds.lock_planning(session)
        if alone:
            _refuse_a_second(session)
        now = database.now(session)
        slot = rounds.current_slot(session, timedelta(seconds=policy.interval_s)) if in_slot else None
        if slot is not None and rounds.has_slot(session, slot):
            return None
        if out_of_turn is not None and _answered_already(session, policy):
            return None
        allowed = affordable(session, services, targets, prompts, now)
        if not allowed.prompts:
            _skip(session, services, allowed, trigger, slot, now, optional=in_slot or out_of_turn is not None)
            return None
        round_id = rounds.plan(
            session,
            now=now,
            deadline=timedelta(seconds=policy.deadline_s),
            trigger=trigger,
            slot_start=slot,
            targets=targets,
            prompts=allowed.prompts,
            simulated=services.simulated,
            simulated_beside=services.simulated_beside_real,
            left_out=[{"provider": name, "reason": reason} for name, reason in left_out.items()],
            notes=_notes(allowed, trigger, out_of_turn),
            estimated_cost_usd=allowed.cost_usd,
        )
        keys = [] if round_id is None else claims.waiting(session, round_id, policy.max_attempts)
    if round_id is not None:
        _announce(services, round_id, trigger, keys, allowed.cost_usd, left_out)
    return round_id


def _skip(
    session: Session,
    services: Services,
    allowed: Affordable,
    trigger: str,
    slot: datetime | None,
    now: datetime,
    *,
    optional: bool,
) -> None:
    """Nothing can be paid for: whoever asked for a round is told, and one in turn leaves a row that says why."""
    assert allowed.insight is not None  # what else would leave no prompt
    if not optional:
        raise OverBudget(allowed.insight.text)
    notes = [insight_json(allowed.insight)]
    rounds.skip(session, now=now, trigger=trigger, slot_start=slot, simulated=services.simulated, notes=notes)
    log.warning(allowed.insight.text, trigger=trigger)


def _notes(allowed: Affordable, trigger: str, out_of_turn: str | None) -> list[dict[str, Any]]:
    """What is known of a round before it begins, as insights."""
    notes = [insight_json(allowed.insight)] if allowed.insight else []
    if out_of_turn is not None:
        text = f"round out of turn ({trigger}): {out_of_turn}"
        notes.insert(0, {"kind": "out_of_turn", "text": text, "data": {"trigger": trigger}})
    return notes


def _announce(
    services: Services,
    round_id: str,
    trigger: str,
    keys: Sequence[ProbeKey],
    cost_usd: float,
    left_out: Mapping[str, str],
) -> None:
    log.info(
        "round started",
        round=round_id,
        trigger=trigger,
        probes=len(keys),
        estimated_usd=round(cost_usd, 4),
        left_out=left_out or None,
    )
    services.messages.probes(hints(services, keys))


def hints(services: Services, keys: Sequence[ProbeKey]) -> list[ProbeKey]:
    """Enough to fill every place, and one that may be lost: who has a place goes on with the next probe by itself.

    None for providers that the config has no longer: they have no queue.
    """
    places = {provider.name: provider.concurrency for provider in services.providers}
    sent: Counter[str] = Counter()
    hints = []
    for key in keys:
        sent[key.provider] += 1
        if key.provider in places and sent[key.provider] <= places[key.provider] + 1:
            hints.append(key)
    return hints


def _answered_already(session: Session, policy: RoundPolicy) -> bool:
    cooldown = timedelta(seconds=policy.drift_cooldown_s)
    return bool(rounds.open_rounds(session) or rounds.out_of_turn_since(session, IN_TURN, cooldown))


# ── run_probe ────────────────────────────────────────────────────────────────────────────────────────────────────────


def run_probe(services: Services, hint: ProbeKey, is_ending: Callable[[], bool] = lambda: False) -> int:
    """Claim, call, grade, write; then the same with the provider's next probe, in the place that is free now.

    How many were run: 0 where all are claimed or final, or the provider is busy. After `probes_per_message`, or
    where the worker `is_ending`, a message hands the place to whoever is free. A provider's failure is a result.
    One attempt is made; no database connection is held during the call.
    """
    provider = next((p for p in services.providers if p.name == hint.provider), None)
    if provider is None or provider.name not in services.endpoints:
        log.warning("probe of a provider that this worker cannot call, left to others", provider=hint.provider)
        return 0
    if is_ending():
        services.messages.probes([hint])
        return 0
    place = _place(services, provider)
    with database.transaction(services.sessions) as session:
        claimed = claims.claim(session, place, hint)
    ran, limit = 0, services.policy.rounds.probes_per_message
    while claimed is not None:
        ran += 1
        result = _measured(services, claimed, provider, place)
        place = _place(services, provider)  # the config may have changed
        claimed = _finish(services, claimed, result, place, is_ending, goes_on=ran < limit)
    return ran


def _place(services: Services, provider: Provider) -> Place:
    policy, mine = services.policy.rounds, services.config.value.providers.get(provider.name)
    timeout_ms = provider.timeout_ms if mine is None else mine.timeout
    return Place(
        provider=provider.name,
        concurrency=provider.concurrency,
        timeout_ms=timeout_ms,
        lease=timedelta(milliseconds=timeout_ms, seconds=policy.lease_margin_s) + pacing.patience(services, provider),
        max_attempts=policy.max_attempts,
    )


def _measured(services: Services, claimed: Claimed, provider: Provider, place: Place) -> ProbeResult:
    """Of one call; what fails on our side is a result too, else it would hold its place until its lease ends."""
    if (why := services.left_out(services.config.value).get(provider.name)) is not None:
        return probing.not_run(f"left out meanwhile: {why}")
    try:
        return probing.run(
            services,
            claimed.key,
            provider,
            timeout_ms=place.timeout_ms,
            answered=lambda: _free_place(services, claimed, place),
        )
    except Exception as error:
        log.exception("probe broke", round=claimed.key.round_id, prompt=claimed.key.prompt_id)
        return probing.not_run(f"it broke here: {error!r}")


def _free_place(services: Services, claimed: Claimed, place: Place) -> None:
    """Let the provider's next probe begin while this one's answer is graded."""
    try:
        with database.transaction(services.sessions) as session:
            claims.answered(session, claimed, place)
            waits = claims.next_waiting(session, place)
    except DependencyUnavailable:  # the result, which waits for Postgres, frees it too
        return
    if waits is not None:
        services.messages.probes([waits])


def _finish(
    services: Services,
    claimed: Claimed,
    result: ProbeResult,
    place: Place,
    is_ending: Callable[[], bool],
    *,
    goes_on: bool,
) -> Claimed | None:
    """Write a result; the next probe, claimed in the same transaction, if this message goes on with one."""
    key = claimed.key
    try:
        done = _write(services, claimed, result, place, lambda: goes_on and not is_ending())
    except (DBAPIError, ValueError) as error:  # not for want of Postgres: there is something in it that it cannot hold
        log.exception("probe result not written", round=key.round_id, prompt=key.prompt_id)
        result = probing.not_run(f"its result could not be stored: {type(error).__name__}")
        done = _write(services, claimed, result, place, lambda: goes_on and not is_ending())
    log.info(
        "probe done" if done.written else "probe result came too late",
        round=key.round_id,
        target=str(key.target),
        prompt=key.prompt_id,
        status=result.status.value,
        latency_ms=None if result.latency_ms is None else round(result.latency_ms),
        quality=result.quality,
        error=result.error_class,
    )
    following, upcoming = done.following, done.following.key if done.following else done.waits
    try:
        if done.waits is not None and not services.messages.probes([done.waits]) and not is_ending():
            with database.transaction(services.sessions) as session:  # without Redis nobody else hears of it
                following = claims.claim(session, place, done.waits)
        if upcoming is None or upcoming.round_id != key.round_id:  # else the round is not over
            finish_round(services, key.round_id)
    except DependencyUnavailable as error:  # what is claimed goes on; the reaper sees to the rest
        log.warning("round not looked at, the reaper will", round=key.round_id, reason=str(error))
    return following


def _write(
    services: Services, claimed: Claimed, result: ProbeResult, place: Place, goes_on: Callable[[], bool]
) -> Finished:
    """The call is paid for: its result outlasts a short loss of Postgres."""
    tries = itertools.count()

    def write() -> Finished:
        with database.transaction(services.sessions) as session:
            if next(tries) and (done := claims.finished_before(session, claimed, place)) is not None:
                return done  # only the answer to the COMMIT was lost
            written = claims.finish(session, claimed, result)
            if goes_on():
                return Finished(written, following=claims.claim(session, place))
            return Finished(written, waits=claims.next_waiting(session, place))

    return _patiently(write, RESULT_PATIENCE_S)


def _patiently(step: Callable[[], T], patience_s: float) -> T:
    give_up_at = time.monotonic() + patience_s
    while True:
        try:
            return step()
        except DependencyUnavailable:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(1.0)


# ── finish_round ─────────────────────────────────────────────────────────────────────────────────────────────────────


def finish_round(services: Services, round_id: str) -> bool:
    """If no probe is left, hand the round to the optimizer; True for exactly one caller."""
    with database.transaction(services.sessions) as session:
        mine = claims.begin_optimizing(session, round_id)
    if mine:
        services.messages.optimize(round_id)
    return mine


# ── optimize → publish ───────────────────────────────────────────────────────────────────────────────────────────────


def optimize(services: Services, round_id: str) -> bool:
    """Evidence → scorecard → weights, exploration, insights → revision, in one transaction; then publish.

    False where the round is not waiting for it (done already, or another optimizer has it).
    """
    with database.transaction(services.sessions) as session:
        attempt = rounds.claim_optimizing(session, round_id, OPTIMIZE_LEASE)
        if attempt is None:
            return False
        if attempt > MAX_OPTIMIZE_ATTEMPTS:
            text = f"the optimizer failed {MAX_OPTIMIZE_ATTEMPTS} times on this round: the old config stays"
            rounds.close(session, round_id, RoundStatus.FAILED, [{"kind": "failed", "text": text, "data": {}}])
            log.error("round failed", round=round_id, attempts=MAX_OPTIMIZE_ATTEMPTS)
            return False
    try:
        review(services, round_id)
        closed = _close(services, round_id)
    finally:
        with database.transaction(services.sessions) as session:
            rounds.release_optimizing(session, round_id)
    if closed:
        judge.ask_for(services, round_id)
    return closed


def _close(services: Services, round_id: str) -> bool:
    """One transaction over the round, what was learned and the config; then all processes are told."""
    with database.transaction(services.sessions) as session:
        if not rounds.hold_optimizing(session, round_id):
            return False
        learned = outcomes.learned(session)
        revisions.lock(session)
        current = revisions.latest(session) or services.config.value
        measured = _measurement(services, session, current, round_id)
        before = scorecard.held_or_rebuilt(session, learned, services.policy)
        card = before if measured.of_ourselves else before.close_round(measured.outcomes, services.policy)
        now = database.now(session)
        result = optimizer.optimize(
            applying.state_of(learned),
            before,
            card,
            measured.outcomes,
            current.global_.provider_weights,
            current.global_.exploration_rate,
            services.policy,
            complete=measured.moves_weights,
            trimmed=measured.coverage is Coverage.TRIMMED,
            keys={each.name: each.key_env for each in services.providers if each.key_env},
            now=now,
        )
        insights = [*_insights(current, result, measured), *_of_the_ceiling(services, current, card, now)]
        rounds.close(session, round_id, measured.status, [insight_json(insight) for insight in insights])
        config = _revise(session, current, result, insights, round_id, now) if applying.applies(current) else current
        scorecard.hold(learned, card, now)
        learned.optimizer = result.state.to_json()
        generation = learned.generation
    scorecard.publish(services.redis, generation, card)
    live_config.publish(services.redis, config)
    log.info("round closed", round=round_id, status=measured.status.value, version=config.version)
    for insight in insights:
        log.info(insight.text, round=round_id, insight=insight.kind)
    return True


def _of_the_ceiling(services: Services, config: RuntimeConfig, card: Scorecard, now: datetime) -> list[Insight]:
    """Whether objective.max_cost_usd can be held."""
    found = ceiling.insight(router.plan(config, services.targets, card, {}, services.policy, now).pacing)
    return [] if found is None else [found]


@dataclass(frozen=True, slots=True)
class _Measurement:
    """What a round gave."""

    #: of the probes that were run
    outcomes: Sequence[Outcome]
    #: every probe was run
    complete: bool
    #: its measurement error is too large
    degraded: bool
    coverage: Coverage

    @property
    def status(self) -> RoundStatus:
        return RoundStatus.DONE if self.complete else RoundStatus.PARTIAL

    @property
    def of_ourselves(self) -> bool:
        """It tells of our own network, and of no provider."""
        return own_trouble(self.outcomes) is not None

    @property
    def moves_weights(self) -> bool:
        return self.complete and not self.degraded and self.coverage is not Coverage.PART


def _measurement(services: Services, session: Session, config: RuntimeConfig, round_id: str) -> _Measurement:
    probes = rounds.probes(session, [round_id])
    record = rounds.get(session, round_id)
    assert record is not None  # it is locked
    return _Measurement(
        outcomes=[history.of_probe(probe) for probe in probes if probe.latency_ms is not None],
        complete=not any(probe.error_class in {NOT_RUN, WORKER_LOST} for probe in probes),
        degraded=bool(record.degraded),
        coverage=_coverage(services, config, record, probes),
    )


def _insights(config: RuntimeConfig, result: Optimization, measured: _Measurement) -> list[Insight]:
    """What the optimizer saw, and what became of it."""
    # a degraded round says why itself
    seen = [each for each in result.insights if not (measured.degraded and each.kind in ("partial", "degraded"))]
    if applying.applies(config):
        return [*seen, *applying.pinned(config, result)]
    return [*seen, applying.proposal(config, result)]


def _revise(
    session: Session,
    config: RuntimeConfig,
    result: Optimization,
    insights: Sequence[Insight],
    round_id: str,
    now: datetime,
) -> RuntimeConfig:
    return revisions.add(
        session,
        applying.applied(config, result, live_config.to_ms(now), of_round=True),
        now_ms=live_config.to_ms(now),
        author=revisions.OPTIMIZER,
        reason="; ".join(insight.text for insight in insights)[:2000] or f"round {round_id}",
        evidence={"round": round_id, **result.evidence},
        round_id=round_id,
    )


def _coverage(services: Services, config: RuntimeConfig, record: Round, probes: Sequence[Probe]) -> Coverage:
    unavailable = services.left_out(config)
    return coverage(
        asked={(Target(probe.provider, probe.model), probe.prompt_id) for probe in probes},
        targets=[target for target in services.targets if target.provider not in unavailable],
        prompts=[prompt.id for prompt in services.prompts if prompt.enabled],
        left_out=budget.left_out(record.notes),
        least=services.policy.budget.least_prompts,
    )

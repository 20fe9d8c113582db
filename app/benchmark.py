"""MAIN PATH 1: start_round → run_probe → finish_round → optimize → publish, in the order of the data.

Postgres says what is to be done; a message only says that it may be time to look. So every step can be lost, doubled
or repeated by the reaper, and the round still ends once.
"""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

import structlog
from sqlalchemy.orm import Session

from app import evidence, judge, live_config
from app import keys as api_keys
from app.domain import grading, optimizer
from app.domain.catalog import Prompt, Provider, Target
from app.domain.optimizer import Insight, Optimization, OptimizerState
from app.domain.policy import RoundPolicy
from app.domain.rounds import ProbeKey
from app.domain.runtime_config import RuntimeConfig
from app.errors import DependencyUnavailable, LocalFailure, NoTarget, OverBudget, ProviderError, Timeout
from app.models import Learned, Probe, ProbeStatus, RoundStatus
from app.planning import Selection, affordable, selected_prompts, selected_targets
from app.providers.base import Answer, ChatRequest, Message
from app.providers.prices import answer_cost
from app.review import insight_json, review
from app.services import Services
from app.store import claims, database, history, outcomes, revisions, rounds
from app.store.claims import ProbeResult
from app.store.rounds import NOT_RUN, WORKER_LOST

log = structlog.get_logger()
T = TypeVar("T")

#: how long a result waits for a lost Postgres before the reaper's second attempt is the better hope
RESULT_PATIENCE_S = 60.0
#: silence after which the optimizer's message is sent again
OPTIMIZE_PATIENCE = timedelta(seconds=45)
#: longer than the task's own time limit: an optimizer that dies is replaced when this is over
OPTIMIZE_LEASE = timedelta(seconds=75)
MAX_OPTIMIZE_ATTEMPTS = 3
#: a connection that was idle for longer is no longer trusted by the pool (connections.IDLE_S)
WARM_S = 50.0
#: triggers that are in turn; whatever else starts a round has a cooldown
IN_TURN = ("schedule", "manual", "startup")


# ── start_round ──────────────────────────────────────────────────────────────────────────────────────────────────────


def start_slot(services: Services) -> str | None:
    """Start the round of the current slot; None where it has one already (any number of beats may call this)."""
    return _plan_and_publish(services, "schedule", Selection(), in_slot=True)


def start_round(services: Services, trigger: str = "manual", selection: Selection | None = None) -> str:
    """Start a round now, outside the slots; its id. Raises NoTarget, InvalidRequest, DependencyUnavailable."""
    round_id = _plan_and_publish(services, trigger, selection or Selection(), in_slot=False)
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


def _plan_and_publish(
    services: Services, trigger: str, selection: Selection, *, in_slot: bool, out_of_turn: str | None = None
) -> str | None:
    left_out = services.left_out(services.config.value)
    targets = selected_targets(services, selection, left_out)
    prompts = selected_prompts(services, selection)
    policy = services.policy.rounds
    with database.transaction(services.sessions) as session:
        rounds.lock_planning(session)
        now = database.now(session)
        slot = rounds.current_slot(session, timedelta(seconds=policy.interval_s)) if in_slot else None
        if slot is not None and rounds.has_slot(session, slot):
            return None
        if out_of_turn is not None and _answered_already(session, policy):
            return None
        allowed = affordable(session, services, targets, prompts, now)
        notes = [insight_json(allowed.insight)] if allowed.insight else []
        if not allowed.prompts:
            assert allowed.insight is not None  # what else would leave no prompt
            if slot is None and out_of_turn is None:
                raise OverBudget(allowed.insight.text)
            rounds.skip(session, now=now, trigger=trigger, slot_start=slot, simulated=services.simulated, notes=notes)
            log.warning(allowed.insight.text, trigger=trigger)
            return None
        if out_of_turn is not None:
            text = f"round out of turn ({trigger}): {out_of_turn}"
            notes.insert(0, {"kind": "out_of_turn", "text": text, "data": {"trigger": trigger}})
        round_id = rounds.plan(
            session,
            now=now,
            deadline=timedelta(seconds=policy.deadline_s),
            trigger=trigger,
            slot_start=slot,
            targets=targets,
            prompts=allowed.prompts,
            simulated=services.simulated,
            left_out=[{"provider": name, "reason": reason} for name, reason in left_out.items()],
            notes=notes,
            estimated_cost_usd=allowed.cost_usd,
        )
        keys = [] if round_id is None else claims.waiting(session, round_id, policy.max_attempts)
    if round_id is not None:
        log.info(
            "round started",
            round=round_id,
            trigger=trigger,
            probes=len(keys),
            estimated_usd=round(allowed.cost_usd, 4),
            left_out=left_out or None,
        )
        services.messages.probes(_hints(services, keys))
    return round_id


def _hints(services: Services, keys: Sequence[ProbeKey]) -> list[ProbeKey]:
    """Enough to fill every place twice: each probe that ends hints at the next, and more would find no place."""
    places = {provider.name: 2 * provider.concurrency for provider in services.providers}
    sent: Counter[str] = Counter()
    hints = []
    for key in keys:
        sent[key.provider] += 1
        if sent[key.provider] <= places.get(key.provider, 1):
            hints.append(key)
    return hints


def _answered_already(session: Session, policy: RoundPolicy) -> bool:
    cooldown = timedelta(seconds=policy.drift_cooldown_s)
    return bool(rounds.open_rounds(session) or rounds.out_of_turn_since(session, IN_TURN, cooldown))


# ── run_probe ────────────────────────────────────────────────────────────────────────────────────────────────────────


def run_probe(services: Services, hint: ProbeKey) -> bool:
    """Claim, call, grade, write. False where there was nothing to do: all claimed or final, or the provider is busy.

    A provider's failure is a result. One attempt is made; no database connection is held during the call.
    """
    provider = next((p for p in services.providers if p.name == hint.provider), None)
    if provider is None:
        log.warning("probe of a provider that this worker does not know", provider=hint.provider)
        return False
    claimed = _claim(services, hint, provider)
    if claimed is None:
        return False
    key, attempt = claimed
    result = _measure(services, key, attempt, provider)
    written, following = _write(services, key, attempt, result)
    log.info(
        "probe done" if written else "probe result came too late",
        round=key.round_id,
        target=str(key.target),
        prompt=key.prompt_id,
        status=result.status.value,
        latency_ms=None if result.latency_ms is None else round(result.latency_ms),
        quality=result.quality,
        error=result.error_class,
    )
    if following is not None:
        services.messages.probes([following])
    if written:
        _canary(services, key, attempt)
    finish_round(services, key.round_id)
    return written


def _claim(services: Services, hint: ProbeKey, provider: Provider) -> tuple[ProbeKey, int] | None:
    policy = services.policy.rounds
    timeout_ms = _timeout_ms(services, provider)
    with database.transaction(services.sessions) as session:
        return claims.claim(
            session,
            hint,
            lease=timedelta(milliseconds=timeout_ms, seconds=policy.lease_margin_s),
            concurrency=provider.concurrency,
            max_attempts=policy.max_attempts,
        )


def _timeout_ms(services: Services, provider: Provider) -> int:
    mine = services.config.value.providers.get(provider.name)
    return provider.timeout_ms if mine is None else mine.timeout


def _measure(services: Services, key: ProbeKey, attempt: int, provider: Provider) -> ProbeResult:
    endpoint = services.endpoints.get(key.provider)
    prompt = next((p for p in services.prompts if p.id == key.prompt_id), None)
    if endpoint is None or prompt is None:
        missing = f"key for {key.provider}" if endpoint is None else f"prompt {key.prompt_id}"
        return ProbeResult(
            ProbeStatus.ERROR, error_class=NOT_RUN, error_message=f"this worker has no {missing}", counts=False
        )
    _warm_up(services, key.provider)
    request = _request(services.config.value, prompt, key.provider)
    try:
        stream = services.client.stream(endpoint, key.model, request, timeout_ms=_timeout_ms(services, provider))
        for _ in stream:
            pass
        answer = stream.answer
    except ProviderError as error:
        return _failed(error)
    if grading.is_slow(prompt):
        _free_place(services, key, attempt)
    return _graded(services, provider, prompt, answer)


def _request(config: RuntimeConfig, prompt: Prompt, provider: str) -> ChatRequest:
    parameters = config.model_parameters(prompt.task_type, provider) | {"max_tokens": prompt.max_tokens}
    return ChatRequest(messages=(Message("user", prompt.text),), **parameters)  # type: ignore[arg-type]  # by name


_warm: dict[str, float] = {}
_warming = threading.Lock()


def _warm_up(services: Services, provider: str) -> None:
    """A call before the first measurement, and after a pause in which idle connections were given up."""
    now_s = time.monotonic()
    with _warming:
        cold = now_s - _warm.get(provider, -WARM_S) >= WARM_S
        _warm[provider] = now_s
    if cold:
        services.client.warm_up(services.endpoints[provider])


def _free_place(services: Services, key: ProbeKey, attempt: int) -> None:
    """Let the provider's next probe begin while this one's answer is graded."""
    try:
        with database.transaction(services.sessions) as session:
            claims.answered(session, key, attempt)
            following = claims.next_waiting(session, key.provider, services.policy.rounds.max_attempts)
    except DependencyUnavailable:  # the result, which waits for Postgres, frees it too
        return
    if following is not None:
        services.messages.probes([following])


def _failed(error: ProviderError) -> ProbeResult:
    timing = error.timing
    return ProbeResult(
        status=ProbeStatus.TIMEOUT if isinstance(error, Timeout) else ProbeStatus.ERROR,
        latency_ms=timing.total_ms if timing else None,
        connect_ms=timing.connect_ms if timing else None,
        error_class=error.code,
        error_message=_storable(error.message[:1000]),
        counts=error.counts,
    )


def _graded(services: Services, provider: Provider, prompt: Prompt, answer: Answer) -> ProbeResult:
    score, reasons = _grade(prompt, answer.text)
    timing = answer.timing
    # connection set-up is a number of its own: a cold call must not be compared with a warm one
    return ProbeResult(
        status=ProbeStatus.OK,
        latency_ms=timing.total_ms - timing.connect_ms,
        ttft_ms=None if timing.first_token_ms is None else timing.first_token_ms - timing.connect_ms,
        connect_ms=timing.connect_ms,
        prompt_tokens=answer.usage.prompt,
        completion_tokens=answer.usage.completion,
        reasoning_tokens=answer.usage.reasoning,
        cached_tokens=answer.usage.cached,
        tokens_estimated=answer.usage.estimated,
        cost_usd=answer_cost(provider, answer, live_config.utc_now()),
        quality=score,
        grade_reasons=reasons,
        answer=_storable(answer.text[: services.policy.rounds.answer_chars]),
        answered_model=answer.model,
    )


def _grade(prompt: Prompt, answer: str) -> tuple[float | None, tuple[str, ...]]:
    """None where the grader could not run, which is our failure: an ungraded answer is still an answer."""
    try:
        grade = grading.grade(prompt, answer)
    except LocalFailure as error:
        log.error("answer not graded", prompt=prompt.id, reason=str(error))
        return None, (f"not graded: {error}",)
    return grade.score, grade.reasons


def _storable(text: str) -> str:
    """A provider may send anything; Postgres stores neither NUL nor half a surrogate pair."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _write(services: Services, key: ProbeKey, attempt: int, result: ProbeResult) -> tuple[bool, ProbeKey | None]:
    """Was it written, and which probe waits for the place that is free now; its own message may have found it taken.

    The call is paid for: its result outlasts a short loss of Postgres.
    """

    def write() -> tuple[bool, ProbeKey | None]:
        with database.transaction(services.sessions) as session:
            written = claims.finish(session, key, attempt, result)
            return written, claims.next_waiting(session, key.provider, services.policy.rounds.max_attempts)

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


def _canary(services: Services, key: ProbeKey, attempt: int) -> None:
    """How far off is what this process measures at the moment? In the provider's place the next probe is under way."""
    wanted = services.policy.rounds.canaries
    probes_n = len(services.targets) * len(services.prompts)
    if not wanted or zlib.crc32(repr(key).encode()) % max(1, round(probes_n / wanted)):
        return
    error_ms = services.canary.error_ms()
    if error_ms is not None:
        with database.transaction(services.sessions) as session:
            claims.add_canary(session, key, attempt, error_ms)


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
        digested = _digest(services, round_id)
    finally:
        with database.transaction(services.sessions) as session:
            rounds.release_optimizing(session, round_id)
    if digested:
        judge.ask_for(services, round_id)
    return digested


def _digest(services: Services, round_id: str) -> bool:
    with database.transaction(services.sessions) as session:
        if not rounds.hold_optimizing(session, round_id):
            return False
        learned = outcomes.learned(session)
        revisions.lock(session)
        current = revisions.latest(session) or services.config.value
        probes = rounds.probes(session, [round_id])
        complete = not any(probe.error_class in {NOT_RUN, WORKER_LOST} for probe in probes)
        degraded = rounds.is_degraded(session, round_id)
        measured = [history.of_probe(probe) for probe in probes if probe.latency_ms is not None]
        before = evidence.held_or_rebuilt(session, learned, services.policy)
        card = before.close_round(measured, services.policy)
        now = database.now(session)
        result = optimizer.optimize(
            state_of(learned),
            before,
            card,
            measured,
            current.global_.provider_weights,
            current.global_.exploration_rate,
            services.policy,
            complete=complete and not degraded and _is_whole(services, current, probes),
            now=now,
        )
        status = RoundStatus.DONE if complete else RoundStatus.PARTIAL
        applies = current.features.auto_optimization and current.global_.enabled
        said = [each for each in result.insights if not (degraded and each.kind == "partial")]  # it says why itself
        insights = [*said, *(_pinned(current, result) if applies else [_proposal(current, result)])]
        rounds.close(session, round_id, status, [insight_json(insight) for insight in insights])
        config = current
        if applies:
            config = revisions.add(
                session,
                applied(current, result, live_config.to_ms(now)),
                now_ms=live_config.to_ms(now),
                author="optimizer",
                reason="; ".join(insight.text for insight in insights)[:2000] or f"round {round_id}",
                evidence={"round": round_id, **result.evidence},
                round_id=round_id,
            )
        evidence.hold(learned, card, now)
        learned.optimizer = result.state.to_json()
        generation = learned.generation
    evidence.publish(services.redis, generation, card)
    live_config.publish(services.redis, config)
    log.info("round closed", round=round_id, status=status.value, version=config.version)
    for insight in insights:
        log.info(insight.text, round=round_id, insight=insight.kind)
    return True


def _is_whole(services: Services, config: RuntimeConfig, probes: Sequence[Probe]) -> bool:
    """Did the round measure all that could be measured? One of a chosen part says nothing about the others."""
    left_out = services.left_out(config)
    targets = {target for target in services.targets if target.provider not in left_out}
    prompts = {prompt.id for prompt in services.prompts if prompt.enabled}
    measured = {(Target(probe.provider, probe.model), probe.prompt_id) for probe in probes}
    return measured >= {(target, prompt) for target in targets for prompt in prompts}


def state_of(learned: Learned) -> OptimizerState:
    """What the optimizer remembers; unreadable memories are reported, and gathered anew from here on."""
    try:
        return OptimizerState.from_json(learned.optimizer) if learned.optimizer else OptimizerState.empty()
    except ValueError as error:
        log.error("optimizer state not readable, starting from none", reason=str(error))
        return OptimizerState.empty()


def applied(current: RuntimeConfig, result: Optimization, now_ms: int) -> RuntimeConfig:
    """The config as the optimizer wants it; what a person pinned stays."""
    wanted: dict[str, object] = {}
    if not current.pins.weights:
        wanted["provider_weights"] = result.weights
    if not current.pins.exploration_rate:
        wanted["exploration_rate"] = result.exploration_rate
    metadata: dict[str, object] = {"optimized_by": "optimizer", "last_optimization_time": now_ms}
    if result.score is not None:
        metadata |= {
            "optimization_score": round(result.score, 4),
            "optimization_score_samples": result.score_samples,
            "iteration_count": current.metadata.iteration_count + 1,
        }
    return current.model_copy(
        update={
            "global_": current.global_.model_copy(update=wanted),
            "metadata": current.metadata.model_copy(update=metadata),
        }
    )


def _proposal(current: RuntimeConfig, result: Optimization) -> Insight:
    off = "autoOptimization" if current.global_.enabled else "enabled"
    data = {"weights": result.weights.model_dump(), "explorationRate": result.exploration_rate}
    return Insight("proposal", f"{off} is off: proposed, not applied: {json.dumps(data)}", data)


def _pinned(current: RuntimeConfig, result: Optimization) -> list[Insight]:
    """What the optimizer would have set, had no person pinned it."""
    found = []
    if current.pins.weights and result.weights != current.global_.provider_weights:
        data = {"weights": result.weights.model_dump()}
        found.append(Insight("pinned", f"weights are pinned: not set to {json.dumps(data['weights'])}", data))
    if current.pins.exploration_rate and result.exploration_rate != current.global_.exploration_rate:
        rate = result.exploration_rate
        found.append(Insight("pinned", f"explorationRate is pinned: not set to {rate}", {"explorationRate": rate}))
    return found


# ── reap ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def reap(services: Services) -> None:
    """Every minute: send again what was lost, close what is overdue, start a missing slot, restore Redis."""
    policy = services.policy.rounds
    with database.transaction(services.sessions) as session:
        lost = rounds.give_up_on_lost_probes(session, policy.max_attempts)
        overdue = rounds.close_overdue(session)
        unfinished = rounds.open_rounds(session)
        waiting = [key for each in unfinished for key in claims.waiting(session, each, policy.max_attempts)]
        stuck = rounds.stuck_optimizing(session, OPTIMIZE_PATIENCE)
    if lost or overdue or stuck:
        log.warning("reaper", lost_probes=lost, overdue_probes=overdue, stuck_rounds=stuck or None)
    services.messages.probes(_hints(services, waiting))
    for round_id in unfinished:
        finish_round(services, round_id)
    for round_id in stuck:
        services.messages.optimize(round_id)
    restore(services)
    try:
        start_slot(services)
    except NoTarget as error:
        log.warning("no round in this slot", reason=str(error))


def restore(services: Services) -> None:
    """Bring Redis and the snapshot up to what Postgres holds."""
    live_config.recover(services.sessions, services.redis, services.settings.snapshot_file, services.providers)
    api_keys.recover(services.sessions, services.redis)
    evidence.recover(services)

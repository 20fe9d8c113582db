"""Every constant of scorecard, optimizer, router, breaker and rounds, as config/policy.toml sets it.

Units and reasons stand beside the numbers in the file; the defaults here are the same numbers, so that pure tests
need no file.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Objective:
    """U = success·quality − latency·min(1, L/latency_ref_ms) − cost·min(1, C/cost_ref_usd)
    − p95·min(1, P(L > p95_ms)/.05).
    """

    latency: float = 0.4
    cost: float = 0.3
    #: 0, for either: not declared; app.domain.evidence.references learns it
    latency_ref_ms: float = 1000.0
    cost_ref_usd: float = 0.006
    #: mean USD per request that routing may come to; None: no ceiling
    max_cost_usd: float | None = None
    #: utility lost where the 95th percentile of latency is p95_ms or more; 0: tails count as any slow call does
    p95: float = 0.0
    p95_ms: float = 3000.0

    @property
    def time(self) -> float:
        """All that speed is worth."""
        return self.latency + self.p95


@dataclass(frozen=True, slots=True)
class CeilingPolicy:
    """How `objective.max_cost_usd` is held."""

    horizon_calls: float = 50.0
    horizon_share: float = 0.03
    lump: float = 2.0
    reserve_calls: float = 3.0
    reserve_noise: float = 0.5
    save_share: float = 0.05
    carry_share: float = 0.01
    carry_noise: float = 3.0


@dataclass(frozen=True, slots=True)
class EvidencePolicy:
    live_mass_cap: float = 300.0
    success_round_decay: float = 0.95
    success_reset_sigma: float = 3.0
    latency_mass_cap: float = 20.0
    latency_round_decay: float = 0.1
    level_mass_cap: float = 200.0
    level_round_decay: float = 0.8
    quality_round_decay: float = 0.8
    quality_mass_cap: float = 40.0
    quality_reset_sigma: float = 2.5
    quality_prompts: int = 200
    task_mass_cap: float = 50.0
    task_round_decay: float = 0.9
    task_reset_sigma: float = 3.0
    task_latency_spread: float = 0.05
    task_cost_spread: float = 0.1
    task_success_spread: float = 0.02
    task_quality_spread: float = 0.05
    task_prior: float = 1.0
    feedback_mass_cap: float = 100.0
    feedback_sigma: float = 2.0
    feedback_prior_mass: float = 20.0


@dataclass(frozen=True, slots=True)
class GatePolicy:
    success_floor: float = 0.8
    success_slack: float = 0.05
    quality_share: float = 0.75


@dataclass(frozen=True, slots=True)
class ScorePolicy:
    noise: float = 0.03
    near_tie: float = 0.003


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    failures: int = 3
    open_s: float = 15.0
    open_max_s: float = 300.0
    needs_person_open_s: float = 900.0
    retry_after_cap_s: float = 3600.0
    trial_calls: int = 40


@dataclass(frozen=True, slots=True)
class WeightsPolicy:
    base: tuple[float, float, float] = (0.4, 0.3, 0.3)
    unreliable: tuple[float, float, float] = (0.3, 0.2, 0.5)
    spread: tuple[float, float, float] = (0.5, 0.2, 0.3)
    unreliable_below: float = 0.9
    unreliable_sigma: float = 1.0
    spread_above: float = 0.25
    step: float = 0.1
    floor: float = 0.1
    radius: float = 0.1
    horizon_rounds: int = 6
    horizon_decay: float = 0.7
    neighbour_grid: float = 0.05
    sigma: float = 2.0
    least_sd: float = 0.02
    least_rounds: int = 3
    looks: int = 24


@dataclass(frozen=True, slots=True)
class ExplorationPolicy:
    base: float = 0.10
    raised: float = 0.15
    latency_ratio: float = 1.5
    baseline_decay: float = 0.7
    slow_rounds: int = 6
    recovered_after: int = 3
    recovered_mass: float = 10.0
    recovered_ratio: float = 1.2
    success_below: float = 0.8
    excess_decay: float = 0.5
    errors: float = 0.6
    age_margin: float = 0.2
    least_per_round: float = 20.0


@dataclass(frozen=True, slots=True)
class DriftPolicy:
    """Page–Hinkley on ln(latency)."""

    min_instances: int = 10
    delta: float = 0.1
    threshold: float = 3.0


@dataclass(frozen=True, slots=True)
class RoundPolicy:
    interval_s: int = 3600
    deadline_s: int = 600
    lease_margin_s: int = 15
    max_attempts: int = 2
    probes_per_message: int = 5
    reap_every_s: int = 60
    drift_cooldown_s: int = 900
    answer_chars: int = 4000
    history: int = 24
    measurement_error_ms: float = 10.0
    measurement_error_share: float = 0.1
    canaries: int = 40


@dataclass(frozen=True, slots=True)
class BudgetPolicy:
    round_usd: float = 1.0
    day_usd: float = 10.0
    least_prompts: int = 5


@dataclass(frozen=True, slots=True)
class JudgePolicy:
    """`targets`: empty turns the judge off; an answer is judged by the first that is not of its own provider."""

    targets: tuple[str, ...] = ()
    answers: int = 40
    max_tokens: int = 200


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    rounds_days: int = 400
    outcomes_days: int = 90
    hourly_days: int = 400
    audit_days: int = 400
    batch: int = 5000
    every_s: int = 3600
    roll_up_every_s: int = 60


@dataclass(frozen=True, slots=True)
class GatewayPolicy:
    max_attempts: int = 4
    max_refusals: int = 6
    lesson_s: float = 900.0
    refusals_to_learn: int = 3
    deadline_ms: int = 900_000
    first_token_ms: int = 10_000
    thinking_first_token_ms: int = 60_000
    idle_ms: int = 30_000
    stream_ms: int = 900_000
    plain_ms: int = 600_000
    heartbeat_ms: int = 15_000
    backup_ms: int = 60_000
    rescue_ms: int = 60_000
    wait_ms: int = 3_000
    retry_ms: int = 200
    filtered_elsewhere: bool = False
    whole_answers: bool = False
    outcome_buffer: int = 10_000
    outcome_stream: int = 100_000
    log_share: float = 1.0
    log_per_s: int = 50
    log_days: int = 14
    store_responses: bool = True
    hedge_share: float = 0.0
    hedge_least: int = 20
    in_flight: int = 768
    in_flight_per_key: int = 640
    assumed_tokens: int = 2048
    body_wait_s: float = 20.0
    body_bytes_per_s: int = 20_000
    bodies_mb: int = 512


@dataclass(frozen=True, slots=True)
class AffinityPolicy:
    enabled: bool = True
    ttl_s: float = 600.0
    least_tokens: int = 256
    token_ms: float = 0.05


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    ingest_silent_s: float = 30.0
    benchmark_silent_intervals: float = 1.25
    local_failures: int = 5
    disk_free_mb: float = 500.0


@dataclass(frozen=True, slots=True)
class AlertsPolicy:
    every_s: float = 5.0
    quiet_s: float = 20.0
    retry_s: float = 15.0
    retry_max_s: float = 600.0
    give_up_s: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Policy:
    objective: Objective = field(default_factory=Objective)
    ceiling: CeilingPolicy = field(default_factory=CeilingPolicy)
    evidence: EvidencePolicy = field(default_factory=EvidencePolicy)
    gate: GatePolicy = field(default_factory=GatePolicy)
    score: ScorePolicy = field(default_factory=ScorePolicy)
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    weights: WeightsPolicy = field(default_factory=WeightsPolicy)
    exploration: ExplorationPolicy = field(default_factory=ExplorationPolicy)
    drift: DriftPolicy = field(default_factory=DriftPolicy)
    rounds: RoundPolicy = field(default_factory=RoundPolicy)
    budget: BudgetPolicy = field(default_factory=BudgetPolicy)
    judge: JudgePolicy = field(default_factory=JudgePolicy)
    retention: RetentionPolicy = field(default_factory=RetentionPolicy)
    gateway: GatewayPolicy = field(default_factory=GatewayPolicy)
    affinity: AffinityPolicy = field(default_factory=AffinityPolicy)
    health: HealthPolicy = field(default_factory=HealthPolicy)
    alerts: AlertsPolicy = field(default_factory=AlertsPolicy)

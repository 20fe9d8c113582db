"""The tables. Postgres owns the round; a Celery message is only a hint that there is something to do here."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

#: revision of migrations/ that this code was written for; their names sort by age
SCHEMA = "0017"


class RoundStatus(StrEnum):
    """Moved by guarded UPDATEs in app.store.rounds, and nowhere else."""

    RUNNING = "running"  # planned in one transaction with its probes; messages may or may not have been sent
    OPTIMIZING = "optimizing"  # every probe is final; exactly one caller made this step
    DONE = "done"  # all probes ran; a revision or a proposal stands
    PARTIAL = "partial"  # closed with probes that did not run: moved no weights
    FAILED = "failed"  # the optimizer could not digest it; the old config stays
    SKIPPED = "skipped"  # planned nothing: the budget does not allow a single prompt; holds its slot


#: rounds whose outcomes reached the scorecard
DIGESTED = (RoundStatus.DONE, RoundStatus.PARTIAL)


class ProbeStatus(StrEnum):
    """ok, error and timeout are final."""

    PENDING = "pending"  # nobody has it
    RUNNING = "running"  # claimed until lease_until
    OK = "ok"  # a usable answer
    ERROR = "error"  # the provider failed, or the probe could not be run; error_class says which
    TIMEOUT = "timeout"  # a deadline passed


#: SQL of "final", for the guarded UPDATEs and the partial index
UNFINISHED = "status IN ('pending', 'running')"


class Base(DeclarativeBase):
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy declares it so
        str: Text,
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
    }
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def _one_of(values: type[StrEnum]) -> str:
    return "status IN ({})".format(", ".join(f"'{value}'" for value in values))


class Round(Base):
    __tablename__ = "rounds"
    __table_args__ = (
        CheckConstraint(_one_of(RoundStatus), name="status"),
        Index("ix_rounds_planned_at", "planned_at"),
        Index("ix_rounds_open", "deadline_at", postgresql_where=text("status IN ('running', 'optimizing')")),
    )

    #: benchmark-<epoch ms>
    id: Mapped[str] = mapped_column(primary_key=True)
    #: start of the hourly slot; UNIQUE, so that no number of beats starts it twice. NULL: manual or out of turn
    slot_start: Mapped[datetime | None] = mapped_column(unique=True)
    #: schedule, manual, startup; anything else asked for a round out of turn: drift, breaker
    trigger: Mapped[str]
    status: Mapped[str]
    planned_at: Mapped[datetime]
    deadline_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    expected_n: Mapped[int]
    simulated: Mapped[bool]
    #: [{"provider", "reason"}] of configured providers that this round could not measure
    left_out: Mapped[list[Any]] = mapped_column(server_default=text("'[]'::jsonb"))
    #: [{"kind", "text", "data"}] of the optimizer, then those of `notes`
    insights: Mapped[list[Any]] = mapped_column(server_default=text("'[]'::jsonb"))
    #: the same, said of the round by itself: budget, measurement error, comparison with earlier rounds
    notes: Mapped[list[Any]] = mapped_column(server_default=text("'[]'::jsonb"))
    #: what it was expected to cost when it was planned; NULL: no price is known
    estimated_cost_usd: Mapped[float | None]
    #: {"calls", "p50Ms", "p95Ms", "p99Ms"}: how far its canary calls were off; NULL: none came back
    measurement: Mapped[dict[str, Any] | None]
    #: its measurement error is too large, or unknown: it moves no weights
    degraded: Mapped[bool] = mapped_column(server_default=text("false"))
    #: taken by the LLM judge; NULL: not judged
    judged_at: Mapped[datetime | None]
    optimize_attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    #: an optimizer is at work on it until then
    optimize_lease_until: Mapped[datetime | None]
    #: last time its optimize message was sent, so that the reaper does not flood
    optimize_sent_at: Mapped[datetime | None]


class Measured:
    """Columns of one call to a provider, probed or live."""

    ttft_ms: Mapped[float | None]
    connect_ms: Mapped[float | None]
    prompt_tokens: Mapped[int | None]
    completion_tokens: Mapped[int | None]
    reasoning_tokens: Mapped[int | None]
    cached_tokens: Mapped[int | None]
    tokens_estimated: Mapped[bool] = mapped_column(server_default=text("false"))
    #: NULL: no price is known
    cost_usd: Mapped[float | None]
    error_class: Mapped[str | None]
    #: false: the failure was ours, and does not count against the provider
    counts: Mapped[bool] = mapped_column(server_default=text("true"))
    simulated: Mapped[bool]


class Probe(Measured, Base):
    __tablename__ = "probes"
    __table_args__ = (
        CheckConstraint(_one_of(ProbeStatus), name="status"),
        Index("ix_probes_provider_finished_at", "provider", "finished_at"),
        # "is one left?", "who is next?" and "how many are in flight?" cost the same however large the round is
        Index("ix_probes_unfinished_round", "round_id", postgresql_where=text(UNFINISHED)),
        Index("ix_probes_next", "provider", "round_id", "place", postgresql_where=text(UNFINISHED)),
        Index("ix_probes_running", "provider", postgresql_where=text("status = 'running'")),
    )

    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id", ondelete="CASCADE"), primary_key=True)
    provider: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    prompt_id: Mapped[str] = mapped_column(primary_key=True)
    #: its turn in the round: drawn anew for each round, so that no prompt is always asked first
    place: Mapped[int] = mapped_column(server_default=text("0"))
    status: Mapped[str] = mapped_column(server_default=text("'pending'"))
    #: claims so far; the fencing token of a result
    attempt: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    lease_until: Mapped[datetime | None]
    claimed_at: Mapped[datetime | None]
    #: the call is over and its place at the provider free, though the answer is still being graded
    answered_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    task_type: Mapped[str]
    queue_delay_ms: Mapped[float | None]
    latency_ms: Mapped[float | None]
    quality: Mapped[float | None]
    grade_reasons: Mapped[list[Any]] = mapped_column(server_default=text("'[]'::jsonb"))
    #: kept, bounded, so that a person can disagree with a grade
    answer: Mapped[str | None]
    answered_model: Mapped[str | None]
    error_message: Mapped[str | None]
    #: measured minus true time of the canary call that its worker made beside it; NULL: it made none
    canary_error_ms: Mapped[float | None]
    #: second opinion, 0..1, of an LLM that is not this provider's
    judge_score: Mapped[float | None]
    judge_target: Mapped[str | None]
    judge_reason: Mapped[str | None]
    judge_cost_usd: Mapped[float | None]


class LiveOutcome(Measured, Base):
    """One attempt of one gateway request."""

    __tablename__ = "outcomes"
    __table_args__ = (
        Index("ix_outcomes_provider_at", "provider", "at"),
        Index("ix_outcomes_at", "at", postgresql_using="brin"),
    )

    request_id: Mapped[str] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    at: Mapped[datetime]
    provider: Mapped[str]
    model: Mapped[str]
    task_type: Mapped[str]
    segment: Mapped[str | None]
    success: Mapped[bool]
    latency_ms: Mapped[float]
    #: was this the first choice, or an exploration; and the probability it was tried first with
    explored: Mapped[bool]
    propensity: Mapped[float | None]
    #: version of the runtime config that routed it
    revision: Mapped[int] = mapped_column(BigInteger)


class Feedback(Base):
    """What somebody said of one request's answer; the latest word counts."""

    __tablename__ = "feedback"
    __table_args__ = (
        CheckConstraint("score >= 0 AND score <= 1", name="score"),
        Index("ix_feedback_waiting", "at", postgresql_where=text("counted_score IS DISTINCT FROM score")),
    )

    request_id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    #: 0 useless … 1 perfect
    score: Mapped[float]
    comment: Mapped[str | None]
    #: the score as the scorecard has it; NULL: not yet, as the request's outcome has not come in
    counted_score: Mapped[float | None]


class Revision(Base):
    """An immutable version of the runtime config."""

    __tablename__ = "revisions"
    __table_args__ = (Index("ix_revisions_created_at", "created_at"),)

    version: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    parent: Mapped[int | None] = mapped_column(BigInteger)
    document: Mapped[dict[str, Any]]
    author: Mapped[str]
    reason: Mapped[str]
    #: what it rests on: round, scorecard, J values
    evidence: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    #: UNIQUE: a round is digested once, however often its message is delivered
    round_id: Mapped[str | None] = mapped_column(ForeignKey("rounds.id", ondelete="SET NULL"), unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class ApiKey(Base):
    """A key of the API; the key itself is not kept."""

    __tablename__ = "api_keys"

    #: the part of the key that may be shown
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    #: SHA-256 of the whole key, in hex
    hash: Mapped[str]
    #: of admin, chat, read
    scopes: Mapped[list[Any]]
    segment: Mapped[str | None]
    #: NULL: no limit
    rate_per_minute: Mapped[int | None]
    #: strict, drop or pass: of fields that we have no word for; NULL: the default
    parameters: Mapped[str | None]
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    #: from then on it opens nothing; NULL: it never ends by itself
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    #: number of the change that made or revoked it, counted over all keys; the newest is their published version
    changed: Mapped[int] = mapped_column(BigInteger)
    #: KeyLimits.to_json, beside rate_per_minute
    limits: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))


class KeySpending(Base):
    """What a key with limits used on one day of its zone. See app.access.spending."""

    __tablename__ = "key_spending"

    #: api_keys.id, or the variable of the environment that holds the key
    key_id: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    cost_usd: Mapped[float]
    tokens: Mapped[int] = mapped_column(BigInteger)
    requests: Mapped[int] = mapped_column(BigInteger)


class AuditEntry(Base):
    """Who changed what. See app.store.audit."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_at", "at"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    #: config.update, key.create, …
    action: Mapped[str]
    #: what was changed: a version, a key, a round
    subject: Mapped[str]
    #: the name of who did it, and the key they did it by: an id, a variable of the environment, or '' for none
    actor: Mapped[str]
    key_id: Mapped[str]
    #: of the network, '' where it is not known
    address: Mapped[str]
    request_id: Mapped[str]
    #: what was changed to what, without a secret
    detail: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))


#: columns that the list of requests is filtered by
FILTERS = ("provider", "model", "status", "explored", "fell_over", "key", "segment", "task_type", "latency_ms")


class LoggedRequest(Base):
    """One gateway request, without a word of what was said: where it went, and why."""

    __tablename__ = "requests"
    __table_args__ = (
        Index("ix_requests_at", "at", postgresql_using="brin"),
        # pages of the list, and its histogram, filtered without a look at the rows themselves
        Index("ix_requests_list", "at", "request_id", postgresql_include=FILTERS),
    )

    request_id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    #: name of the API key that asked
    key: Mapped[str | None]
    segment: Mapped[str | None]
    task_type: Mapped[str]
    #: the `model` asked for
    asked: Mapped[str]
    stream: Mapped[bool]
    #: ok, client_gone, or the code of the error the caller got
    status: Mapped[str]
    #: who served it; NULL: nobody
    provider: Mapped[str | None]
    model: Mapped[str | None]
    #: whole request, all attempts
    latency_ms: Mapped[float]
    prompt_tokens: Mapped[int | None]
    completion_tokens: Mapped[int | None]
    cost_usd: Mapped[float | None]
    #: of the prompt, from the provider's cache
    cached_tokens: Mapped[int | None]
    #: what the answer would have cost more without; negative where writing to the cache cost more than reading saved
    cache_saved_usd: Mapped[float | None]
    simulated: Mapped[bool]
    #: version of the runtime config that routed it
    revision: Mapped[int] = mapped_column(BigInteger)
    attempts: Mapped[list[Any]]
    #: router.explanation_json
    explanation: Mapped[dict[str, Any]]
    #: both follow from the two above; NULL: written by an older release
    explored: Mapped[bool | None]
    fell_over: Mapped[bool | None]


class KeptResponse(Base):
    """An answer of /v1/responses with what was asked, word for word, for as long as the log has the request."""

    __tablename__ = "responses"
    __table_args__ = (Index("ix_responses_at", "at", postgresql_using="brin"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    #: the key that asked: nobody else's sees it
    owner: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    #: the response it goes on from; that one may be gone
    previous_id: Mapped[str | None]
    #: JSON in ASCII, since a model may say what JSONB does not take: items of this request alone, and the Response
    input: Mapped[str]
    response: Mapped[str]


class Usage(Base):
    """What was used per UTC day, key, segment and target; '' stands for none. Kept for ever: it is small."""

    __tablename__ = "usage"

    day: Mapped[date] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    segment: Mapped[str] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    simulated: Mapped[bool] = mapped_column(primary_key=True)
    requests: Mapped[int] = mapped_column(BigInteger)
    #: requests that got no answer
    failed: Mapped[int] = mapped_column(BigInteger)
    #: answered requests whose price is unknown: they are not in cost_usd
    unpriced: Mapped[int] = mapped_column(BigInteger)
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
    cost_usd: Mapped[float]
    cached_tokens: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    cache_saved_usd: Mapped[float] = mapped_column(server_default=text("0"))


class HealthCheck(Base):
    """One row that readiness writes, to see whether a row can be written."""

    __tablename__ = "health_check"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    written_at: Mapped[datetime]


class Alert(Base):
    """An episode of something that needed a person, and how far its two ends have been told. See app.store.alerts."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index("ix_alerts_open", "kind", "subject", unique=True, postgresql_where=text("ended_at IS NULL")),
        Index("ix_alerts_untold", "next_try_at", postgresql_where=text("told_end_at IS NULL")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    subject: Mapped[str]
    #: attention.Item as JSON, as it was last seen
    item: Mapped[dict[str, Any]]
    #: when its cause began, as far as that is known
    began_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    #: by any process
    seen_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    ended_at: Mapped[datetime | None]
    #: when its beginning, and its end, were told; or given up
    told_at: Mapped[datetime | None]
    told_end_at: Mapped[datetime | None]
    #: of what is to be told now
    tries: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    #: until then nobody tries: somebody is about it, or it has just failed
    next_try_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    #: why it was not taken, at its latest try, and since when it has not been; None: it was, or has not been tried
    problem: Mapped[str | None]
    failing_since: Mapped[datetime | None]


class BreakerTurn(Base):
    """A breaker that opened or closed, over all processes."""

    __tablename__ = "breaker_turns"
    __table_args__ = (Index("ix_breaker_turns_at", "at"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime]
    provider: Mapped[str]
    model: Mapped[str]
    #: open or closed
    state: Mapped[str]
    #: error class that opened it, of both
    reason: Mapped[str]
    #: in a row until then
    failures: Mapped[int]
    #: of one that closed: since its outage began
    lasted_s: Mapped[float | None]


class Learned(Base):
    """What has been learned so far, in one row: its lock is what serialises ingest and optimizer."""

    __tablename__ = "learned"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    #: counts every change; the version under which the scorecard is published
    generation: Mapped[int] = mapped_column(BigInteger)
    scorecard: Mapped[dict[str, Any]]
    optimizer: Mapped[dict[str, Any]]
    #: last entry of the outcome stream that is in here, so that none counts twice
    stream_id: Mapped[str]
    #: drift detectors by target, and what they found that nobody has acted on yet
    drift: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    #: when the optimizer last looked at live evidence, between rounds
    checked_at: Mapped[datetime | None]
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class RollupDue(Base):
    """An hour with calls that its roll-up has not yet. Appended beside the rows themselves, so that none gets lost."""

    __tablename__ = "rollup_due"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    hour: Mapped[datetime]


class Rollup(Base):
    """Calls of an hour or a day, summed up: what is left of them when they are deleted. '' stands for none."""

    __tablename__ = "rollups"

    #: hour, day or week (from Monday), in UTC
    grain: Mapped[str] = mapped_column(primary_key=True)
    #: by segment and task type; else over all of them, and both are ''
    detailed: Mapped[bool] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    #: live, benchmark, judge
    source: Mapped[str] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    segment: Mapped[str] = mapped_column(primary_key=True)
    task_type: Mapped[str] = mapped_column(primary_key=True)
    #: '': these calls succeeded
    error_class: Mapped[str] = mapped_column(primary_key=True)
    simulated: Mapped[bool] = mapped_column(primary_key=True)
    calls: Mapped[int] = mapped_column(BigInteger)
    #: of them, failures that do not count against the provider
    uncounted: Mapped[int] = mapped_column(BigInteger)
    explored: Mapped[int] = mapped_column(BigInteger)
    #: calls with a grade, and the sum of those
    graded: Mapped[int] = mapped_column(BigInteger)
    quality: Mapped[float]
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
    cached_tokens: Mapped[int] = mapped_column(BigInteger)
    cost_usd: Mapped[float]
    #: successes whose price is unknown: they are not in cost_usd
    unpriced: Mapped[int] = mapped_column(BigInteger)
    #: the sum
    latency_ms: Mapped[float]
    #: {bucket: calls}, as app.domain.evidence.histogram has it
    latency: Mapped[dict[str, Any]]


class DrawnSum(Base):
    """First attempts of requests whose first place was drawn, with probability p; per hour and day. See baselines."""

    __tablename__ = "drawn_sums"

    grain: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    simulated: Mapped[bool] = mapped_column(primary_key=True)
    calls: Mapped[int] = mapped_column(BigInteger)
    #: Σ 1/p, Σ 1/p²
    weight: Mapped[float]
    weight2: Mapped[float]
    successes: Mapped[int] = mapped_column(BigInteger)
    #: Σ 1/p of successes
    weighted_successes: Mapped[float]
    unpriced: Mapped[int] = mapped_column(BigInteger)
    #: {bucket: [calls, Σ 1/p, Σ ms, Σ ms/p]}, and of the costs of successes in USD
    latency: Mapped[dict[str, Any]]
    cost: Mapped[dict[str, Any]]


class ProbedSum(Base):
    """Probes of rounds that reached the scorecard, per day and week."""

    __tablename__ = "probed_sums"

    grain: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    prompt_id: Mapped[str] = mapped_column(primary_key=True)
    simulated: Mapped[bool] = mapped_column(primary_key=True)
    calls: Mapped[int] = mapped_column(BigInteger)
    successes: Mapped[int] = mapped_column(BigInteger)
    unpriced: Mapped[int] = mapped_column(BigInteger)
    graded: Mapped[int] = mapped_column(BigInteger)
    quality: Mapped[float]
    #: {bucket: [calls, Σ ms]}, and of the costs of successes in USD
    latency: Mapped[dict[str, Any]]
    cost: Mapped[dict[str, Any]]

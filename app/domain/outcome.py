"""What one call gave."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.catalog import Target, TaskType
from app.errors import AccountProblem, BadKey, BadRequest, ModelUnknown, OutOfCredit

#: codes of what nothing but a person can mend
NEEDS_PERSON = frozenset(error.code for error in (BadKey, OutOfCredit, AccountProblem, ModelUnknown))


class Source(StrEnum):
    """Where a piece of evidence comes from."""

    BENCHMARK = "benchmark"
    LIVE = "live"
    FEEDBACK = "feedback"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Timings, tokens, cost, quality, and success or an error class, of one call."""

    target: Target
    source: Source
    at: datetime
    success: bool
    #: whole call; of a failed one the time until it failed (censored there, not dropped)
    latency_ms: float
    task_type: TaskType = TaskType.DEFAULT
    ttft_ms: float | None = None
    connect_ms: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    #: the provider reported no usage; the counts are our estimate
    tokens_estimated: bool = False
    #: None: no price is known
    cost_usd: float | None = None
    #: 0..1 where the answer was graded
    quality: float | None = None
    #: of a round's; None: not known, or a request of somebody's
    prompt_id: str | None = None
    #: `code` of the ProviderError
    error_class: str | None = None
    #: False for failures that are not the provider's fault (our network, the caller's bad request)
    counts: bool = True
    simulated: bool = False

    @property
    def needs_person(self) -> bool:
        """It failed by what only a person can mend: that says nothing of the model."""
        return self.error_class in NEEDS_PERSON

    @property
    def refused(self) -> bool:
        """The target refused what another one then served: one that all of them refuse does not count."""
        return self.counts and self.error_class == BadRequest.code

"""Every error TooLoo raises on purpose.

TooLooError
├── ConfigError               a setting or a file in config/ is wrong; the process does not start
├── InvalidRequest            400: the caller sent something we refuse; `field` names it
├── Unauthorized              401
├── Forbidden                 403
│   └── ModelNotAllowed       … a model that the caller's key may not use
├── NotFound                  404
│   └── UnknownModel          … of the name a request gave as `model`
├── Conflict                  409
├── PreconditionFailed        412: If-Match named an older version
├── RequestTimeout            408: the body did not come in time
├── PayloadTooLarge           413
├── TooManyRequests           429: this key, or this process, takes no more at the moment; `retry_after_s`
│   └── BudgetSpent           … until its day or month is over
├── DependencyUnavailable     503: Postgres or Redis is away; try again
├── NoTarget                  503: no provider is enabled and has a key
├── OverBudget                409: the round would cost more than config/policy.toml allows
├── AllAttemptsFailed         502: every target on the route failed
├── ClientLeft                499: nobody waits for the answer any more
└── ProviderError             one call to a provider failed (below)
    ├── BadKey                the provider refuses our key
    ├── OutOfCredit           no balance or quota left; a different thing from a rate limit
    ├── AccountProblem        the account may not do this: not verified, no access, terms not accepted
    ├── ModelUnknown          the provider does not have this model (for us)
    ├── BadRequest            the provider refuses the request itself; others may take it
    │   ├── ContextTooLong    … because it does not fit the model's context
    │   └── Unsupported       … because this target has no way to do it; known beforehand, so nobody was called
    │       ├── BeyondContext … because it cannot fit the model's context
    │       └── PassedOver    … as its refusal of such a request has lately shown
    ├── ContentFiltered       the provider's safety filter stopped the request or the answer; the caller is told
    ├── RateLimited           too many requests; `retry_after_s` where the provider says so
    ├── Overloaded            the provider says that it is overloaded
    ├── ServerError           any other failure on the provider's side
    ├── Timeout               a limit of ours passed; `phase` is connect, first_token, idle or total
    ├── ConnectionLost        refused, reset or closed before an answer was complete
    │   └── StreamCut         … in the middle of a stream
    ├── UnusableAnswer        HTTP 200 that holds no usable answer: empty, malformed, error event inside
    │   └── LimitSpent        … because the token limit of the request was spent before its first word
    ├── LocalFailure          our own network or machine failed, not the provider
    ├── BeganDifferently      its answer is another one than what the caller has the beginning of
    └── Hedged                we stopped it: another target, asked beside it, answered first
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from app.timing import Timing

#: of an error, as providers give them: `insufficient_quota`, `RESOURCE_EXHAUSTED`
_NAME = re.compile(r"(?=.{1,64}\Z)(?:[a-z0-9]+(?:_[a-z0-9]+)+|[A-Z]+(?:_[A-Z]+)+)")


class TooLooError(Exception):
    """Something went wrong in TooLoo."""

    #: stable, machine-readable name; part of the API
    code: ClassVar[str] = "internal_error"
    #: HTTP status the API answers with
    status: ClassVar[int] = 500

    def __init__(self, message: str | None = None, *, field: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())
        self.field = field
        #: to providers, for a chat request that ended with this; None: it ended with something else
        self.calls: int | None = None

    @property
    def message(self) -> str:
        return str(self)

    @property
    def kept(self) -> str:
        """What logs, tables and Redis keep of it, where no word of a request or an answer may stand."""
        return str(self)


class ConfigError(TooLooError):
    """A setting is wrong."""

    code = "config_error"


class InvalidRequest(TooLooError):
    """The request is not valid."""

    code = "invalid_request"
    status = 400


class Unauthorized(TooLooError):
    """A key is needed for this."""

    code = "unauthorized"
    status = 401


class Forbidden(TooLooError):
    """This is not allowed."""

    code = "forbidden"
    status = 403


class ModelNotAllowed(Forbidden):
    """This key may not use this model."""

    code = "model_not_allowed"


class NotFound(TooLooError):
    """There is no such thing."""

    code = "not_found"
    status = 404


class UnknownModel(NotFound):
    """There is no such model."""

    code = "model_not_found"


class Conflict(TooLooError):
    """This contradicts the present state."""

    code = "conflict"
    status = 409


class OverBudget(TooLooError):
    """The budget does not allow this."""

    code = "over_budget"
    status = 409


class PreconditionFailed(TooLooError):
    """The document has changed since it was read."""

    code = "precondition_failed"
    status = 412


class RequestTimeout(TooLooError):
    """The request did not come in time."""

    code = "request_timeout"
    status = 408


class PayloadTooLarge(TooLooError):
    """The request body is too large."""

    code = "payload_too_large"
    status = 413


class TooManyRequests(TooLooError):
    """No more requests are taken at the moment."""

    code = "too_many_requests"
    status = 429

    def __init__(self, message: str | None = None, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BudgetSpent(TooManyRequests):
    """The budget of this key is spent."""

    code = "budget_spent"


class Busy(TooLooError):
    """This process has no place for one more request."""

    code = "busy"
    status = 503


class DependencyUnavailable(TooLooError):
    """A service this needs is not reachable at the moment."""

    code = "dependency_unavailable"
    status = 503


class NoTarget(TooLooError):
    """No provider is enabled and has a key."""

    code = "no_target"
    status = 503


class AllAttemptsFailed(TooLooError):
    """Every provider on the route failed."""

    code = "all_attempts_failed"
    status = 502

    def __init__(self, message: str | None = None, *, causes: tuple[ProviderError, ...] = ()) -> None:
        super().__init__(message)
        #: what each attempt failed with, in their order
        self.causes = causes

    @property
    def kept(self) -> str:
        causes = "; ".join(f"{cause.code}: {cause.kept}" for cause in self.causes)
        return f"every provider on the route failed: {causes}" if causes else str(self)

    @property
    def retry_after_s(self) -> float | None:
        """When the first of the targets may be asked again, where each of them said when; None else."""
        delays = [cause.retry_after_s for cause in self.causes if cause.retry_after_s is not None]
        return min(delays) if delays and len(delays) == len(self.causes) else None


class ClientLeft(TooLooError):
    """The client has left."""

    code = "client_gone"
    status = 499


class ProviderError(TooLooError):
    """The provider call failed."""

    code = "provider_error"
    status = 502
    #: may the same call succeed on the same target a little later?
    retryable: ClassVar[bool] = False
    #: may the same request succeed on another target?
    elsewhere: ClassVar[bool] = True
    #: does it count against the provider's reliability?
    counts: bool = True
    #: does it open the breaker at once and for long (nothing but a person can mend it)?
    needs_person: ClassVar[bool] = False

    def __init__(
        self,
        message: str | None = None,
        *,
        status_code: int | None = None,
        retry_after_s: float | None = None,
        provider_code: str | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(message, field=field)
        self.status_code = status_code
        self.retry_after_s = retry_after_s
        #: the provider's own name for the error, such as `insufficient_quota`
        self.provider_code = provider_code
        #: how long the call ran until it failed; set by the client that made it
        self.timing: Timing | None = None
        #: x-ratelimit-* and their likes, as they came
        self.rate_limits: Mapping[str, str] = {}
        #: its text is the provider's, who may quote what was asked: for the caller alone
        self.quotes = False

    @property
    def kept(self) -> str:
        if not self.quotes:
            return str(self)
        status = f"HTTP {self.status_code}" if self.status_code else ""
        name = self.provider_code if self.provider_code and _NAME.fullmatch(self.provider_code) else ""
        told = ", ".join(filter(None, (status, name)))
        what = (type(self).__doc__ or "").strip().split(".")[0]
        return f"{what} ({told})" if told else what


class BadKey(ProviderError):
    """The provider refuses the API key."""

    code = "bad_key"
    needs_person = True


class OutOfCredit(ProviderError):
    """The provider account has no credit left."""

    code = "out_of_credit"
    needs_person = True


class AccountProblem(ProviderError):
    """The provider account may not do this."""

    code = "account_problem"
    needs_person = True


class ModelUnknown(ProviderError):
    """The provider does not have this model."""

    code = "model_unknown"
    needs_person = True


class BadRequest(ProviderError):
    """The provider refuses the request."""

    code = "bad_request"
    status = 400
    counts = False


class ContextTooLong(BadRequest):
    """The request does not fit the model's context."""

    code = "context_too_long"


class Unsupported(BadRequest):
    """This provider has no way to do what the request asks for; it was not called."""

    code = "unsupported"


class BeyondContext(Unsupported, ContextTooLong):
    """The request cannot fit the model's context; it was not called."""

    code = "context_too_long"


class PassedOver(Unsupported):
    """This provider lately refused such a request that another one served; it was not called."""


class ContentFiltered(ProviderError):
    """The provider's content filter stopped this."""

    code = "content_filtered"
    status = 400
    elsewhere = False
    counts = False


class RateLimited(ProviderError):
    """The provider limits our rate."""

    code = "rate_limited"
    retryable = True
    #: it says how much was asked of the provider, not how good it is: see app.domain.routing.quota
    counts = False


class Overloaded(ProviderError):
    """The provider is overloaded."""

    code = "overloaded"
    retryable = True


class ServerError(ProviderError):
    """The provider failed."""

    code = "server_error"
    retryable = True


class Timeout(ProviderError):
    """The provider did not answer in time."""

    code = "timeout"
    status = 504
    retryable = True

    def __init__(self, message: str | None = None, *, phase: str = "total", flowed: bool = False) -> None:
        """`flowed`: the answer was coming all the while, so that the target is not to blame."""
        super().__init__(message)
        #: `connect`, `first_token`, `idle` or `total`
        self.phase = phase
        self.counts = not flowed


class ConnectionLost(ProviderError):
    """The connection to the provider was lost."""

    code = "connection_lost"
    retryable = True


class StreamCut(ConnectionLost):
    """The provider's stream ended before its end."""

    code = "stream_cut"


class UnusableAnswer(ProviderError):
    """The provider answered 200 without a usable answer."""

    code = "unusable_answer"
    retryable = True


class LimitSpent(UnusableAnswer):
    """The request's token limit was spent before the first word of the answer."""

    code = "limit_spent"
    status = 400
    retryable = False
    counts = False


class LocalFailure(ProviderError):
    """Our own network or machine failed."""

    code = "local_failure"
    retryable = True
    counts = False


class BeganDifferently(ProviderError):
    """Its answer does not begin as the one that broke off."""

    code = "began_differently"
    counts = False


class Hedged(ProviderError):
    """Another target answered first."""

    code = "hedged"
    counts = False


def most_telling(causes: Sequence[ProviderError]) -> BadRequest | LimitSpent | None:
    """Of refusals the one that says most of what is wrong with the request; None where one of the causes is none."""
    refusals = [cause for cause in causes if isinstance(cause, BadRequest | LimitSpent)]
    return max(refusals, key=_telling) if refusals and len(refusals) == len(causes) else None


def _telling(refusal: BadRequest | LimitSpent) -> tuple[int, bool, bool, int]:
    """What does not fit comes first, for it can be mended; then who names a field, and who says more."""
    kinds: tuple[type[ProviderError], ...] = (ContextTooLong, LimitSpent, BadRequest)
    rank = next(-place for place, kind in enumerate(kinds) if isinstance(refusal, kind))
    return rank, refusal.field is not None, refusal.provider_code is not None, min(len(refusal.message), 300)

"""What every protocol tells of a failed request beside its own error shape: headers, and a line in the log."""

from __future__ import annotations

import math

import structlog
from flask import g, request

from app.api.lean import Answer
from app.errors import AllAttemptsFailed, BudgetSpent, ProviderError, TooLooError, TooManyRequests

log = structlog.get_logger()

#: s, where nobody knows when it will be better
RETRY_S = "5"


def logged(error: TooLooError, status: int) -> None:
    if status >= 500:
        log.warning("request failed", path=request.path, code=error.code, reason=error.kept)


def told(response: Answer, error: TooLooError) -> Answer:
    """With the request's name, the calls that were made, and when to come back."""
    if (asked := g.get("tooloo_request_id")) is not None:
        response.headers["x-tooloo-request-id"] = asked
    if error.calls is not None:
        response.headers["x-tooloo-attempts"] = str(error.calls)
    wait_s = error.retry_after_s if isinstance(error, AllAttemptsFailed | ProviderError | TooManyRequests) else None
    if wait_s is not None:
        response.headers["Retry-After"] = str(math.ceil(wait_s))
        if isinstance(error, BudgetSpent):
            response.headers["x-should-retry"] = "false"  # the official clients would try again at once, twice
    elif 503 in (response.status_code, error.status):
        response.headers["Retry-After"] = RETRY_S
    return response

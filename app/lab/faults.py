"""What a simulated provider fails with or refuses; each wire format says it in its provider's own words."""

from __future__ import annotations

from enum import StrEnum

from app.lab.refusals.rule import Rule


class Fault(StrEnum):
    """The provider's side fails: what `error_kind` of a profile may be."""

    SERVER_ERROR = "server_error"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"  # never answers
    CUT = "cut"  # closes the connection in the middle of the answer
    OUT_OF_CREDIT = "out_of_credit"
    BAD_KEY = "bad_key"
    EMPTY = "empty"  # HTTP 200 without any text
    FILTER = "filter"  # its safety filter stops the answer half-way
    BLOCKED = "blocked"  # … or before the first word
    ERROR_INSIDE = "error_inside"  # HTTP 200, and an error in it
    MODEL_UNKNOWN = "model_unknown"  # the model is gone
    CONTEXT_TOO_LONG = "context_too_long"
    BAD_REQUEST = "bad_request"

    @property
    def within_answer(self) -> bool:
        """Does it come with HTTP 200, when an answer would?"""
        return self in (Fault.CUT, Fault.EMPTY, Fault.FILTER, Fault.BLOCKED, Fault.ERROR_INSIDE)


class Mistake(StrEnum):
    """The request itself is wrong."""

    MISSING_KEY = "missing_key"
    UNKNOWN_MODEL = "unknown_model"
    UNKNOWN_PATH = "unknown_path"
    MISSING_FIELD = "missing_field"
    UNKNOWN_FIELD = "unknown_field"
    INVALID_VALUE = "invalid_value"
    TOO_LARGE = "too_large"
    AGAINST_RULE = "against_rule"  # of app/lab/refusals


class Refused(Exception):
    """The request is answered with an error of the provider's."""

    def __init__(
        self,
        why: Fault | Mistake,
        detail: str = "",
        *,
        field: str | None = None,
        rule: Rule | None = None,
        wait_s: float = 2.0,
    ) -> None:
        super().__init__(detail or why.value)
        self.why = why
        #: what the provider says of it, where it is more than the same sentence every time
        self.detail = detail
        #: the part of the request that is wrong, in the provider's spelling
        self.field = field
        #: the rule it is against, if it is one of the table's
        self.rule = rule
        #: of a rate limit: when the next request may come
        self.wait_s = wait_s

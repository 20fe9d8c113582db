"""Anthropic's error answers."""

from __future__ import annotations

import math
from typing import NamedTuple

from app.lab.faults import Fault, Mistake, Refused
from app.lab.wire.base import Rejection, to_json


class _Shape(NamedTuple):
    status: int
    type: str
    #: may hold {model}, {field}, {detail}
    message: str


_INVALID = "invalid_request_error"

_ERRORS = {
    Fault.SERVER_ERROR: _Shape(500, "api_error", "Internal server error"),
    Fault.RATE_LIMITED: _Shape(
        429, "rate_limit_error", "This request would exceed your account's rate limit. Please try again later."
    ),
    Fault.OVERLOADED: _Shape(529, "overloaded_error", "Overloaded"),
    Fault.OUT_OF_CREDIT: _Shape(
        400,
        _INVALID,
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or "
        "purchase credits.",
    ),
    Fault.BAD_KEY: _Shape(401, "authentication_error", "invalid x-api-key"),
    Fault.MODEL_UNKNOWN: _Shape(404, "not_found_error", "model: {model}"),
    Fault.CONTEXT_TOO_LONG: _Shape(400, _INVALID, "prompt is too long: 210000 tokens > 200000 maximum"),
    Fault.BAD_REQUEST: _Shape(400, _INVALID, "metadata.user_id: Input should be a valid string"),
    Mistake.MISSING_KEY: _Shape(401, "authentication_error", "x-api-key header is required"),
    Mistake.UNKNOWN_MODEL: _Shape(404, "not_found_error", "model: {model}"),
    Mistake.UNKNOWN_PATH: _Shape(404, "not_found_error", "Not Found"),
    Mistake.MISSING_FIELD: _Shape(400, _INVALID, "{field}: Field required"),
    Mistake.UNKNOWN_FIELD: _Shape(400, _INVALID, "{field}: Extra inputs are not permitted"),
    Mistake.INVALID_VALUE: _Shape(400, _INVALID, "{field}: {detail}"),
    Mistake.AGAINST_RULE: _Shape(400, _INVALID, "{detail}"),
    Mistake.TOO_LARGE: _Shape(413, "request_too_large", "Request exceeds the maximum size"),
}


def rejection(refused: Refused, model: str) -> Rejection:
    shape = _ERRORS[refused.why]
    detail = refused.detail.replace("{field}", refused.field or "")
    message = shape.message.format(model=model, field=refused.field, detail=detail)
    if refused.why is Mistake.INVALID_VALUE and refused.field is None:
        message = refused.detail
    limited = {"Retry-After": f"{math.ceil(refused.wait_s)}", "anthropic-ratelimit-requests-remaining": "0"}
    return Rejection(
        shape.status,
        to_json({"type": "error", "error": {"type": shape.type, "message": message}}),
        headers={
            **(limited if refused.why is Fault.RATE_LIMITED else {}),
            "x-should-retry": "true" if shape.status in (429, 500, 529) else "false",
        },
    )

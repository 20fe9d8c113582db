"""Error answers of the OpenAI format: OpenAI's own, and DeepSeek's, which differ in status and in words."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from app.lab.faults import Fault, Mistake, Refused
from app.lab.refusals.rule import Kind
from app.lab.wire import openai_envelopes
from app.lab.wire.base import Rejection, to_json


class _Shape(NamedTuple):
    status: int
    type: str
    code: str | None
    #: may hold {model}, {field}, {detail}
    message: str


_INVALID = "invalid_request_error"
_UNKNOWN_MODEL = _Shape(
    404, _INVALID, "model_not_found", "The model `{model}` does not exist or you do not have access to it."
)

_OPENAI = {
    Fault.SERVER_ERROR: _Shape(
        500, "server_error", None, "The server had an error while processing your request. Sorry about that!"
    ),
    Fault.RATE_LIMITED: _Shape(
        429,
        "requests",
        "rate_limit_exceeded",
        "Rate limit reached for {model} in organization org-lab on requests per min (RPM): Limit 500, Used 500, "
        "Requested 1. Please try again in {wait}. Visit https://platform.openai.com/account/rate-limits to learn more.",
    ),
    Fault.OVERLOADED: _Shape(503, "server_error", None, "The engine is currently overloaded, please try again later."),
    Fault.OUT_OF_CREDIT: _Shape(
        429,
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
    ),
    Fault.BAD_KEY: _Shape(
        401,
        _INVALID,
        "invalid_api_key",
        "Incorrect API key provided: ****. You can find your API key at https://platform.openai.com/account/api-keys.",
    ),
    Fault.MODEL_UNKNOWN: _UNKNOWN_MODEL,
    Fault.CONTEXT_TOO_LONG: _Shape(
        400,
        _INVALID,
        "context_length_exceeded",
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 140000 tokens. "
        "Please reduce the length of the messages.",
    ),
    Fault.BAD_REQUEST: _Shape(
        400, _INVALID, "invalid_value", "Invalid value: 'lab'. Supported values are: 'auto' and 'default'."
    ),
    Mistake.MISSING_KEY: _Shape(
        401,
        _INVALID,
        None,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
        "(i.e. Authorization: Bearer YOUR_KEY). You can obtain an API key from "
        "https://platform.openai.com/account/api-keys.",
    ),
    Mistake.UNKNOWN_MODEL: _UNKNOWN_MODEL,
    Mistake.UNKNOWN_PATH: _Shape(404, _INVALID, None, "Invalid URL ({detail})"),
    Mistake.MISSING_FIELD: _Shape(
        400, _INVALID, "missing_required_parameter", "Missing required parameter: '{field}'."
    ),
    Mistake.UNKNOWN_FIELD: _Shape(400, _INVALID, None, "Unrecognized request argument supplied: {field}"),
    Mistake.INVALID_VALUE: _Shape(400, _INVALID, "invalid_value", "Invalid value for '{field}': {detail}."),
    Mistake.AGAINST_RULE: _Shape(400, _INVALID, None, "{detail}"),
    Mistake.TOO_LARGE: _Shape(413, _INVALID, None, "Request body is too large."),
}

_DEEPSEEK = _OPENAI | {
    Fault.SERVER_ERROR: _Shape(500, "server_error", "server_error", "Internal Server Error"),
    Fault.RATE_LIMITED: _Shape(429, "rate_limit_error", "rate_limit_error", "Rate Limit Reached"),
    Fault.OVERLOADED: _Shape(
        503,
        "service_unavailable_error",
        "service_unavailable_error",
        "Service is too busy. We advise users to temporarily switch to alternative LLM API service providers.",
    ),
    Fault.OUT_OF_CREDIT: _Shape(402, "unknown_error", _INVALID, "Insufficient Balance"),
    Fault.BAD_KEY: _Shape(401, "authentication_error", _INVALID, "Authentication Fails, Your api key: **** is invalid"),
    Mistake.MISSING_KEY: _Shape(401, "authentication_error", _INVALID, "Authentication Fails (auth header is empty)"),
    Fault.MODEL_UNKNOWN: _Shape(400, _INVALID, _INVALID, "Model Not Exist"),
    Fault.CONTEXT_TOO_LONG: _Shape(
        400,
        _INVALID,
        _INVALID,
        "This model's maximum context length is 131072 tokens. However, you requested 140000 tokens. Please reduce the "
        "length of the messages or completion.",
    ),
    Fault.BAD_REQUEST: _Shape(
        422, _INVALID, _INVALID, "Failed to deserialize the JSON body into the target type: invalid value"
    ),
    Mistake.UNKNOWN_MODEL: _Shape(400, _INVALID, _INVALID, "Model Not Exist"),
    Mistake.MISSING_FIELD: _Shape(
        400, _INVALID, _INVALID, "Failed to deserialize the JSON body into the target type: missing field `{field}`"
    ),
    Mistake.INVALID_VALUE: _Shape(
        400, _INVALID, _INVALID, "Failed to deserialize the JSON body into the target type: {field}: {detail}"
    ),
}

_NOT_JSON = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)"
)


def rejection(kind: Kind, refused: Refused, model: str) -> Rejection:
    shape = _shape(kind, refused)
    field = re.sub(r"\.(\d+)", r"[\1]", refused.field) if refused.field else None
    detail = refused.detail.replace("{field}", field or "")
    message = shape.message.format(model=model, field=field, detail=detail, wait=f"{refused.wait_s:.3g}s")
    if refused.why is Mistake.INVALID_VALUE and field is None:
        message = _NOT_JSON
    return Rejection(
        shape.status,
        to_json(openai_envelopes.envelope(kind, shape.status, message, shape.type, field, shape.code)),
        # DeepSeek labels its errors so: a client must look at the body all the same
        "application/octet-stream" if kind is Kind.DEEPSEEK else "application/json; charset=utf-8",
        {"Retry-After": f"{math.ceil(refused.wait_s)}"} if refused.why is Fault.RATE_LIMITED else {},
    )


def _shape(kind: Kind, refused: Refused) -> _Shape:
    shape = (_DEEPSEEK if kind is Kind.DEEPSEEK else _OPENAI)[refused.why]
    rule = refused.rule
    return shape if rule is None else shape._replace(status=rule.status, type=rule.type, code=rule.code)

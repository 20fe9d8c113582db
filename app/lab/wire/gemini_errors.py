"""Gemini's error answers: a bad key is a 400, and the delay of a 429 stands in the body only."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from app.lab.faults import Fault, Mistake, Refused
from app.lab.wire.base import Rejection, to_json


class _Shape(NamedTuple):
    status: int
    name: str
    #: may hold {model}, {field}, {detail}
    message: str
    details: tuple[dict[str, Any], ...] = ()


_RPC = "type.googleapis.com/google.rpc."
_QUOTA = "generativelanguage.googleapis.com/generate_content_free_tier_requests"
_UNKNOWN_MODEL = _Shape(
    404,
    "NOT_FOUND",
    "models/{model} is not found for API version v1beta, or is not supported for generateContent. Call "
    "ListModels to see the list of available models and their supported methods.",
)

_ERRORS = {
    Fault.SERVER_ERROR: _Shape(
        500,
        "INTERNAL",
        "An internal error has occurred. Please retry or report in "
        "https://developers.generativeai.google/guide/troubleshooting",
    ),
    Fault.RATE_LIMITED: _Shape(
        429,
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.\n* Quota exceeded for metric: "
        + _QUOTA
        + ", limit: 10, model: {model}\nPlease retry in {wait}.",
        (
            {
                "@type": _RPC + "QuotaFailure",
                "violations": [
                    {"quotaMetric": _QUOTA, "quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}
                ],
            },
            {"@type": _RPC + "RetryInfo", "retryDelay": "2s"},
        ),
    ),
    Fault.OVERLOADED: _Shape(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    Fault.OUT_OF_CREDIT: _Shape(
        429,
        "RESOURCE_EXHAUSTED",
        "Your prepayment credits are depleted. Please go to AI Studio at https://ai.studio/projects to manage your "
        "project and billing.",
    ),
    Fault.BAD_KEY: _Shape(
        400,
        "INVALID_ARGUMENT",
        "API key not valid. Please pass a valid API key.",
        (
            {
                "@type": _RPC + "ErrorInfo",
                "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
                "metadata": {"service": "generativelanguage.googleapis.com"},
            },
        ),
    ),
    Fault.MODEL_UNKNOWN: _UNKNOWN_MODEL,
    Fault.CONTEXT_TOO_LONG: _Shape(
        400,
        "INVALID_ARGUMENT",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    ),
    Fault.BAD_REQUEST: _Shape(400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    Mistake.MISSING_KEY: _Shape(
        403,
        "PERMISSION_DENIED",
        "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or "
        "other form of API consumer identity to call this API.",
    ),
    Mistake.UNKNOWN_MODEL: _UNKNOWN_MODEL,
    Mistake.UNKNOWN_PATH: _Shape(404, "NOT_FOUND", "Method not found: {detail}"),
    Mistake.MISSING_FIELD: _Shape(
        400, "INVALID_ARGUMENT", "* GenerateContentRequest.{field}: {field} is not specified\n"
    ),
    Mistake.UNKNOWN_FIELD: _Shape(
        400, "INVALID_ARGUMENT", 'Invalid JSON payload received. Unknown name "{field}": Cannot find field.'
    ),
    Mistake.INVALID_VALUE: _Shape(400, "INVALID_ARGUMENT", "Invalid value at '{field}': {detail}"),
    Mistake.AGAINST_RULE: _Shape(400, "INVALID_ARGUMENT", "{detail}"),
    Mistake.TOO_LARGE: _Shape(413, "INVALID_ARGUMENT", "Request payload size exceeds the limit."),
}


def rejection(refused: Refused, model: str) -> Rejection:
    shape = _ERRORS[refused.why]
    field = re.sub(r"\.(\d+)", r"[\1]", refused.field or "")
    wait = f"{refused.wait_s:.3g}s"
    message = shape.message.format(model=model, field=field, detail=refused.detail.replace("{field}", field), wait=wait)
    if refused.why is Mistake.INVALID_VALUE and not field:
        message = f"Invalid JSON payload received. {refused.detail}"
    error: dict[str, Any] = {"code": shape.status, "message": message, "status": shape.name}
    details = [{**each, "retryDelay": wait} if "retryDelay" in each else each for each in shape.details]
    if field:
        violation = {"field": field, "description": message}
        details.append({"@type": _RPC + "BadRequest", "fieldViolations": [violation]})
    return Rejection(
        shape.status,
        to_json({"error": {**error, **({"details": details} if details else {})}}),
        "application/json; charset=UTF-8",
    )

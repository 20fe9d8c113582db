"""What errors of the OpenAI format mean."""

from __future__ import annotations

import re

from app.errors import (
    BadKey,
    BadRequest,
    ContentFiltered,
    ContextTooLong,
    ModelUnknown,
    OutOfCredit,
    Overloaded,
    ProviderError,
    UnusableAnswer,
)
from app.providers.wire.problem import TOO_LONG_TEXT, Meanings, Problem, by_status

#: what the provider's own name for an error means, whatever the HTTP status
NAMED: Meanings = {
    OutOfCredit: ("insufficient_quota", "insufficient_balance", "billing_hard_limit_reached", "billing_not_active"),
    ModelUnknown: ("model_not_found", "invalid_model", "model_decommissioned"),  # OpenAI, Mistral, Groq
    BadKey: ("invalid_api_key", "account_deactivated"),
    ContextTooLong: ("context_length_exceeded",),
    ContentFiltered: ("content_filter", "content_policy_violation", "invalid_prompt", "moderation_blocked"),
    Overloaded: ("engine_overloaded", "engine_overloaded_error"),
    UnusableAnswer: ("tool_use_failed", "json_validate_failed", "output_parse_failed"),  # Groq: the model failed
}
#: … and what has no name of its own
SAID: Meanings = {
    ContentFiltered: ("content exists risk",),  # DeepSeek
    ModelUnknown: ("model not exist", "is not a valid model id"),  # DeepSeek and OpenRouter, with status 400
}
#: `param` of an error about the text of a message
MESSAGE_TEXT = re.compile(r"messages(\[\d+\]|\.\d+)?\.content((\[\d+\]|\.\d+)(\.text)?)?")


def error_class(status: int, problem: Problem) -> type[ProviderError]:
    if kind := problem.meaning(NAMED, SAID):
        return kind
    if problem.named(TOO_LONG_TEXT):
        return ContextTooLong if MESSAGE_TEXT.fullmatch(problem.param or "") else BadRequest
    if status == 403 and problem.says("flagged"):  # OpenRouter's moderation
        return ContentFiltered
    if status in (429, 500) and problem.says("currently overloaded"):
        return Overloaded
    return by_status(status, problem)

"""What a provider says it used is believed as far as the request and the model allow: budgets are charged by it."""

from __future__ import annotations

from dataclasses import replace

import structlog

from app.domain.catalog import Provider, Target
from app.providers import capabilities
from app.providers.base import ChatRequest, Usage

log = structlog.get_logger()

#: tokens that are believed of any answer and any prompt, without a look at its model
COMPLETION, PROMPT = 4096, 100_000
#: … and of a model of which nothing is known: no one has more
MOST_COMPLETION, MOST_PROMPT = 1_000_000, 10_000_000


def bounded(usage: Usage, request: ChatRequest, provider: Provider, target: Target) -> Usage:
    """The same, or no more than the longest answers and the longest prompt could be; said in the log."""
    count = _answers(request)
    if usage.prompt <= PROMPT and usage.completion <= COMPLETION * count:
        return usage
    can = capabilities.of(provider, target.model)
    longest = can.max_output or MOST_COMPLETION
    if request.max_tokens is not None:  # servers that do not count reasoning among them do so up to their own limit
        longest = longest if usage.reasoning else min(longest, request.max_tokens + COMPLETION)
    whole = MOST_PROMPT if request.embedding is not None or not can.context else can.context * count
    prompt = min(usage.prompt, max(whole, PROMPT))
    completion = min(usage.completion, max(longest, COMPLETION) * count)
    if (prompt, completion) == (usage.prompt, usage.completion):
        return usage
    log.warning(
        "a provider says it used more than was asked for, and is not believed",
        target=str(target),
        said=[usage.prompt, usage.completion],
        counted=[prompt, completion],
    )
    cached = min(usage.cached, prompt)
    written = min(usage.cache_written, prompt - cached)
    return replace(
        usage,
        prompt=prompt,
        completion=completion,
        reasoning=min(usage.reasoning, completion),
        cached=cached,
        cache_written=written,
        cache_written_hour=min(usage.cache_written_hour, written),
    )


def _answers(request: ChatRequest) -> int:
    if (asked := request.completion) is not None:
        return request.n * asked.prompts * (asked.best_of or 1)
    return request.n

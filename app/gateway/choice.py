"""Who is asked next for a request, and with what: its attempts, one after the other or one beside another."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from app.domain.catalog import Target
from app.domain.targets.limits import Limits, thinks
from app.errors import PassedOver, Unsupported
from app.gateway.attempt import Attempt, R, Send
from app.gateway.calls import AttemptResult
from app.gateway.request import Request
from app.gateway.verdict import lack, would_drop
from app.live import live_config
from app.providers import capabilities
from app.providers.base import ChatRequest, Message
from app.providers.http.clock import CancelToken
from app.providers.wire.content import not_in_words_of

#: times `backup_ms` that a model which thinks may be silent
THINKING_TIMES = 3


def next_attempts(request: Request, send: Send[R]) -> Iterator[Attempt[R]]:
    """One after the other, in the route's order, while there is time; one on trial for another request last.

    Who lately refused what others served is asked only where there is nobody else to ask.
    """
    while (target := _again(request) or _next_target(request)) is not None:
        yield attempt_at(request, target, send)
    if not request.attempts:
        yield from _all_the_same(request, send)


def _all_the_same(request: Request, send: Send[R]) -> Iterator[Attempt[R]]:
    refused = [result.target for result in request.passed_over if isinstance(result.error, PassedOver)]
    request.passed_over = tuple(each for each in request.passed_over if not isinstance(each.error, PassedOver))
    for target in refused:
        if may_call(request, target):
            yield attempt_at(request, target, send)


def passes_over(request: Request, target: Target) -> bool:
    """A request that names its provider is always asked: who asked for it gets its own words."""
    if request.call.provider is not None and not request.call.require_parameters:
        return False
    if request.call.embedding is not None:  # what it cannot say is known where it is written
        return False
    if (why := _lack(request, target)) is None:
        return False
    request.passed_over += (AttemptResult(target, False, 0.0, why),)
    return True


def _lack(request: Request, target: Target) -> Unsupported | None:
    endpoint = request.services.endpoints[target.provider]
    if (why := not_in_words_of(endpoint.provider.format, request.call.dialect)) is not None:
        return why
    can = capabilities.of(endpoint.provider, target.model)
    if (known := lack(can, request.needs, request.call.messages, request.call.parameters)) is not None:
        return known
    if request.call.require_parameters and (why := would_drop(endpoint, target.model, request.call)):
        return why
    if target not in request.lessons.value:
        return None
    lesson = request.lessons.against(target, request.needs, live_config.utc_now())
    return None if lesson is None else PassedOver(str(lesson))


def _again(request: Request) -> Target | None:
    """The target that is to be asked once more, when it is time."""
    if request.again is None:
        return None
    (target, at_s), request.again = request.again, None
    time.sleep(max(0.0, at_s - time.perf_counter()))
    return target if request.time_left_ms() > 0 and not request.left else None


def _next_target(request: Request) -> Target | None:
    """Where all are used up to their quotas, or on trial, the first of them, waited for within `wait_ms`."""
    last, wait_s = None, 0.0
    for target in request.route.order:
        if not may_call(request, target) or passes_over(request, target):
            continue
        short = request.services.quotas.shortage(target, request.prompt_tokens)
        if short is None and not _hangs(request, target) and admits(request, target):
            return target
        if last is None:
            last, wait_s = target, 0.0 if short is None else short.wait_s
    if last is not None and not request.attempts and wait_s * 1000 <= request.services.policy.gateway.wait_ms:
        time.sleep(wait_s)
    return None if request.left else last


def admits(request: Request, target: Target) -> bool:
    return request.breakers.admits(target, live_config.utc_now(), request.plan.at)


def _hangs(request: Request, target: Target) -> bool:
    """Does it take requests, and answer none of them at the moment?"""
    first_ms = _first_token_ms(request, target)
    unknown_ms = first_ms / 2 if request.stream else first_ms * 2
    return request.breakers.in_flight.hangs(target, stream=request.stream, unknown_ms=unknown_ms)


def second_attempt(request: Request, send: Send[R]) -> Attempt[R] | None:
    """One to make beside the one that runs, where there is a target in good health."""
    for target in request.route.order:
        now = live_config.utc_now()
        if not may_call(request, target) or _hangs(request, target) or request.breakers.is_open(target, now):
            continue
        if request.services.quotas.shortage(target, request.prompt_tokens) is not None:
            continue
        if not passes_over(request, target) and admits(request, target):
            return attempt_at(request, target, send)
    return None


def may_call(request: Request, target: Target) -> bool:
    if any(each.target == target for each in request.attempts) or any(r.target == target for r in request.passed_over):
        return False
    return _has_room(request)


def _has_room(request: Request) -> bool:
    """Is there time, and a place, for one more target?"""
    policy, asked = request.services.policy.gateway, {each.target for each in request.attempts}
    if request.left or request.refusals >= policy.max_refusals or len(asked) - request.refusals >= policy.max_attempts:
        return False
    return request.time_left_ms() > 0


def attempt_at(request: Request, target: Target, send: Send[R], *, prefill: str = "") -> Attempt[R]:
    defaults = _defaults(request, target)
    messages = request.call.messages
    if prefill:
        messages += (Message("assistant", prefill),)
    asked = ChatRequest(
        messages=messages,
        defaults=frozenset(defaults.keys() - request.call.parameters.keys()),
        extra=request.call.extra,
        dialect=request.call.dialect,
        omitted=request.call.omitted,
        cache_marks=request.config.features.automatic_cache_marks,
        passed=request.call.passed,
        embedding=request.call.embedding,
        completion=request.call.completion,
        **{**defaults, **request.call.parameters},
    )
    attempt = Attempt(request.services, target, asked, _limits(request, target), send)
    if request.span is not None:
        attempt.span = request.span.attempt(attempt.provider, target.model, request.operation)
    attempt.spend_quota(request.prompt_tokens)
    request.attempts.append(attempt)
    attempt.cancel_token = CancelToken()
    if request.left:  # while it was made
        attempt.stop()
    if not request.stream:
        attempt.silence_ms = _silence_ms(request, target)
    request.breakers.in_flight.begin(target, attempt, stream=request.stream)
    return attempt


def _silence_ms(request: Request, target: Target) -> int | None:
    """After which another target is asked beside it; more where it thinks and its usual time is not known."""
    least_ms = request.services.policy.gateway.backup_ms
    if least_ms == 0 or request.call.provider is not None:
        return None
    late_ms = request.breakers.in_flight.late_ms(target, stream=False)
    if late_ms is None and thinks(target.model, request.call.parameters.get("reasoning_effort")):
        return least_ms * THINKING_TIMES
    return int(max(least_ms, late_ms or 0))


def _defaults(request: Request, target: Target) -> dict[str, float | int]:
    """Parameters for what the request says nothing of: default < task type < provider < model."""
    if request.call.verbatim and not request.config.features.v1_model_defaults:
        return {}
    return request.config.model_parameters(request.call.task_type, target.provider, target.model)


def _limits(request: Request, target: Target) -> Limits:
    """All of them, within what is left of the request's one deadline.

    A timeout in the runtime config other than the block's own is one that a person has set: it holds for all calls.
    """
    policy, left_ms = request.services.policy.gateway, request.time_left_ms()
    provider = request.services.endpoints[target.provider].provider
    usual = Limits(_first_token_ms(request, target), policy.idle_ms, policy.stream_ms, policy.plain_ms)
    found = provider.limits_of(target.model).over(usual)
    mine = request.config.providers.get(target.provider)
    if mine is not None and mine.timeout != provider.timeout_ms:
        found = replace(found, stream_ms=mine.timeout, plain_ms=mine.timeout)
    assert found.stream_ms is not None
    assert found.plain_ms is not None
    return Limits(found.first_token_ms, found.idle_ms, min(found.stream_ms, left_ms), min(found.plain_ms, left_ms))


def _first_token_ms(request: Request, target: Target) -> int:
    """By the policy."""
    policy = request.services.policy.gateway
    slow = thinks(target.model, request.call.parameters.get("reasoning_effort"))
    return policy.thinking_first_token_ms if slow else policy.first_token_ms

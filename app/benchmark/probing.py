"""One probe: the call, the grade, and a canary call beside it that says how exactly this process measures."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

import structlog

from app.benchmark import pacing
from app.domain import grading
from app.domain.catalog import Prompt, Provider
from app.domain.config.runtime_config import RuntimeConfig
from app.domain.rounds.rounds import ProbeKey
from app.errors import LocalFailure, ProviderError, Timeout
from app.live import live_config
from app.providers.base import Answer, ChatRequest, Endpoint, Message
from app.providers.prices import answer_cost
from app.services import Services
from app.store.claims import ProbeResult
from app.store.models import ProbeStatus
from app.store.rounds import NOT_RUN
from app.tracing.calls import traced

log = structlog.get_logger()

#: a connection that was idle for longer is no longer trusted by the pool (connections.IDLE_S)
WARM_S = 50.0
#: beyond the probe's own call; a canary takes 50 ms, and one that is off by more than this tells of a dead stub
CANARY_PATIENCE_S = 1.0

_warm: dict[str, float] = {}
_warming = threading.Lock()


def run(
    services: Services, key: ProbeKey, provider: Provider, *, timeout_ms: int, answered: Callable[[], None]
) -> ProbeResult:
    """One attempt; a provider's failure is a result. `answered` is called before an answer that is slow to grade is."""
    endpoint = services.endpoints[key.provider]
    prompt = next((p for p in services.prompts if p.id == key.prompt_id), None)
    if prompt is None:
        return not_run(f"this worker has no prompt {key.prompt_id}")
    _warm_up(services, endpoint)
    canary = _canary(services, key)
    try:
        answer = pacing.paced(services, key.target, lambda: _call(services, endpoint, key.model, prompt, timeout_ms))
    except ProviderError as error:
        result = _failed(error)
    else:
        if grading.is_slow(prompt):
            answered()
        result = _graded(services, provider, prompt, answer)
    return result if canary is None else replace(result, canary_error_ms=_off_by(canary))


def not_run(reason: str) -> ProbeResult:
    """What did not come to a call, or not to its end, through no fault of the provider's."""
    message = _storable(reason[:1000])
    return ProbeResult(ProbeStatus.ERROR, error_class=NOT_RUN, error_message=message, counts=False)


def _warm_up(services: Services, endpoint: Endpoint) -> None:
    """A call before the first measurement, and after a pause in which idle connections were given up."""
    name, now_s = endpoint.provider.name, time.monotonic()
    with _warming:
        cold = now_s - _warm.get(name, -WARM_S) >= WARM_S
        _warm[name] = now_s
    if cold:
        services.client.warm_up(endpoint)


def _canary(services: Services, key: ProbeKey) -> Future[float | None] | None:
    """How far off is what this process measures at the moment? Asked beside every k-th probe of a large round."""
    wanted = services.policy.rounds.canaries
    probes_n = len(services.targets) * len(services.prompts)
    if not wanted or zlib.crc32(repr(key).encode()) % max(1, round(probes_n / wanted)):
        return None
    return services.canary.begin()


def _off_by(canary: Future[float | None]) -> float | None:
    """A result never waits for long for its canary."""
    try:
        return canary.result(CANARY_PATIENCE_S)
    except TimeoutError:
        return None


def _call(services: Services, endpoint: Endpoint, model: str, prompt: Prompt, timeout_ms: int) -> Answer:
    request = _request(services.config.value, prompt, endpoint.provider.name, model)

    def whole(endpoint: Endpoint) -> Answer:
        stream = services.client.stream(endpoint, model, request, timeout_ms=timeout_ms)
        for _ in stream:
            pass
        return stream.answer

    return traced(services.tracing, endpoint, model, whole)


def _request(config: RuntimeConfig, prompt: Prompt, provider: str, model: str) -> ChatRequest:
    parameters = config.model_parameters(prompt.task_type, provider, model) | {"max_tokens": prompt.max_tokens}
    return ChatRequest(messages=_messages(prompt), **parameters)  # type: ignore[arg-type]  # by name


def _messages(prompt: Prompt) -> tuple[Message, ...]:
    system = [Message("system", prompt.system)] if prompt.system else []
    said = [Message(role, text) for role, text in prompt.turns]
    return (*system, *said, Message("user", prompt.text))


def _failed(error: ProviderError) -> ProbeResult:
    timing = error.timing
    return ProbeResult(
        status=ProbeStatus.TIMEOUT if isinstance(error, Timeout) else ProbeStatus.ERROR,
        latency_ms=timing.total_ms if timing else None,
        connect_ms=timing.connect_ms if timing else None,
        error_class=error.code,
        error_message=_storable(error.message[:1000]),
        counts=error.counts,
    )


def _graded(services: Services, provider: Provider, prompt: Prompt, answer: Answer) -> ProbeResult:
    score, reasons = _grade(prompt, answer.words, simulated=services.simulated or provider.simulated)
    timing = answer.timing
    # connection set-up is a number of its own: a cold call must not be compared with a warm one
    return ProbeResult(
        status=ProbeStatus.OK,
        latency_ms=timing.total_ms - timing.connect_ms,
        ttft_ms=None if timing.first_token_ms is None else timing.first_token_ms - timing.connect_ms,
        connect_ms=timing.connect_ms,
        prompt_tokens=answer.usage.prompt,
        completion_tokens=answer.usage.completion,
        reasoning_tokens=answer.usage.reasoning,
        cached_tokens=answer.usage.cached,
        tokens_estimated=answer.usage.estimated,
        cost_usd=answer_cost(provider, answer, live_config.utc_now()),
        quality=score,
        grade_reasons=reasons,
        answer=_storable(answer.words[: services.policy.rounds.answer_chars]),
        answered_model=_storable(answer.model[:1000]),
    )


def _grade(prompt: Prompt, answer: str, *, simulated: bool) -> tuple[float | None, tuple[str, ...]]:
    """None where there is nothing to grade or the grader could not run: an ungraded answer is still an answer."""
    if prompt.own and simulated:
        return None, ("not applicable: a simulated provider cannot answer a case of your own",)
    try:
        grade = grading.grade(prompt, answer)
    except LocalFailure as error:
        log.error("answer not graded", prompt=prompt.id, reason=str(error))
        return None, (f"not graded: {error}",)
    return grade.score, grade.reasons


def _storable(text: str) -> str:
    """A provider may send anything; Postgres stores neither NUL nor half a surrogate pair."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")

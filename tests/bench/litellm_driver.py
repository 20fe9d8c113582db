"""Drives LiteLLM's own Router over a trace, on a virtual clock. Runs in LiteLLM's environment, for routing_traces.py.

Reads a JSON document per line: {"providers": names, "rows": …, "runs": [[strategy, settings of the Router, seed], …]}.
A row is ["request", seconds, {provider: [latency_ms, ok, tokens]}] or ["prices", seconds, {provider: USD per token}].
Prints, for each run, one JSON list of the providers that were chosen for the requests, in order.

Time inside LiteLLM is that of the trace: time-machine moves every clock of Python. After a call its callbacks get what
they read of the arguments with which LiteLLM itself calls them.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import random
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import litellm
import time_machine
from litellm.types.router import RouterRateLimitError

GROUP = "group"
#: of a provider's deployment; not the deployment's id, under which LiteLLM keeps a price list of its own
MODEL = "openai/served-by-{}"
#: second 0 of a trace
EPOCH = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


class Cooldowns:
    """In place of LiteLLM's store of cooldowns, which is native and reads the machine's clock; by the same contract.

    Who is put in, for how long, and what follows from it is decided by LiteLLM.
    """

    has_redis = False

    def __init__(self) -> None:
        #: model id → second until which it counts, and what LiteLLM keeps of it
        self.kept: dict[str, tuple[float, Any]] = {}
        #: second until which failures are counted, and how many there were
        self.fails: dict[tuple[str, str | None], tuple[float, int]] = {}

    def put(self, model_id: str, value: Any, ttl: float) -> None:
        self.kept[model_id] = (time.time() + ttl, value)

    async def async_put(self, model_id: str, value: Any, ttl: float) -> None:
        self.put(model_id, value, ttl)

    def active_sync(self, model_ids: Sequence[str]) -> tuple[tuple[str, Any], ...]:
        kept = [(model_id, self.kept[model_id]) for model_id in model_ids if model_id in self.kept]
        return tuple((model_id, value) for model_id, (until, value) in kept if time.time() < until)

    async def active(self, model_ids: Sequence[str], *, batch: object) -> tuple[tuple[str, Any], ...]:
        return self.active_sync(model_ids)

    def minimum(self, model_ids: Sequence[str], default: float) -> float:
        return min((value["cooldown_time"] for _, value in self.active_sync(model_ids)), default=default)

    def increment_allowed_fails(self, model_id: str, suffix: str | None, ttl: float) -> int:
        until, count = self.fails.get((model_id, suffix), (0.0, 0))
        until, count = (until, count + 1) if time.time() < until else (time.time() + ttl, 1)
        self.fails[model_id, suffix] = (until, count)
        return count

    async def async_increment_allowed_fails(self, model_id: str, suffix: str | None, ttl: float) -> int:
        return self.increment_allowed_fails(model_id, suffix, ttl)


class Driven:
    """One Router, and the callbacks that it registered."""

    def __init__(self, providers: Sequence[str], strategy: str, settings: dict[str, Any]) -> None:
        litellm.callbacks.clear()
        self.router = litellm.Router(
            model_list=[_deployment(name) for name in providers], routing_strategy=strategy, num_retries=0, **settings
        )
        self.router.health().cooldowns.cooldown_store = Cooldowns()
        self.callbacks = list(litellm.callbacks)
        #: cost-based routing has no synchronous decision; the others are cheaper so, and the same
        self.asynchronous = strategy == "cost-based-routing"

    async def choose(self, clock: time_machine.Traveller) -> str:
        while True:
            try:
                picked = await self.router.select(GROUP, {}) if self.asynchronous else self._picked()
                break
            except RouterRateLimitError as error:  # all of them cool down: it says when to come again
                clock.shift(error.cooldown_time)
        for callback in self.callbacks:
            await callback.async_pre_call_check(picked, None)
        return str(picked["model_info"]["id"])

    def _picked(self) -> Any:
        return self.router.get_available_deployment(GROUP)

    async def learn(self, provider: str, started: datetime, ok: bool, tokens: int) -> None:
        logged, ended = _logged(provider, tokens), datetime.now()  # noqa: DTZ005 - what LiteLLM puts there
        if ok:
            answer = _answer(tokens)
            for callback in self.callbacks:
                await callback.async_log_success_event(logged, answer, started, ended)
            await self.router.deployment_callback_on_success(logged, answer, started, ended)
            return
        logged["exception"] = litellm.ServiceUnavailableError("503", llm_provider="openai", model=provider)
        for callback in self.callbacks:
            await callback.async_log_failure_event(logged, None, started, ended)
        self.router.deployment_callback_on_failure(logged, None, started, ended)


def _deployment(name: str) -> dict[str, Any]:
    params = {"model": MODEL.format(name), "api_key": "none", "api_base": "http://127.0.0.1:9"}
    return {"model_name": GROUP, "litellm_params": params, "model_info": {"id": name}}


def _logged(provider: str, tokens: int) -> dict[str, Any]:
    model = MODEL.format(provider)
    return {
        "call_type": "acompletion",
        "litellm_params": {
            "metadata": {"model_group": GROUP, "deployment": model},
            "model_info": {"id": provider},
        },
        "standard_logging_object": {
            "model_group": GROUP,
            "model_id": provider,
            "total_tokens": tokens,
            "hidden_params": {"litellm_model_name": model},
        },
    }


@functools.cache
def _answer(tokens: int) -> litellm.ModelResponse:
    return litellm.ModelResponse(usage=litellm.Usage(prompt_tokens=0, completion_tokens=tokens, total_tokens=tokens))


def _know(prices: dict[str, float]) -> None:
    """The price list that cost-based routing reads."""
    litellm.register_model(
        {
            MODEL.format(name): {
                "input_cost_per_token": price,
                "output_cost_per_token": price,
                "litellm_provider": "openai",
                "mode": "chat",
            }
            for name, price in prices.items()
        }
    )


async def decisions(document: dict[str, Any], strategy: str, settings: dict[str, Any], seed: int) -> list[str]:
    random.seed(seed)
    chosen: list[str] = []
    with time_machine.travel(EPOCH, tick=False) as clock:
        driven = Driven(document["providers"], strategy, settings)
        for kind, at_s, content in document["rows"]:
            clock.move_to(max(EPOCH + at_s, time.time()))
            if kind == "prices":
                _know(content)
                continue
            provider = await driven.choose(clock)
            latency_ms, ok, tokens = content[provider]
            started = datetime.now()  # noqa: DTZ005 - what LiteLLM puts there
            clock.shift(timedelta(milliseconds=latency_ms))
            await driven.learn(provider, started, bool(ok), int(tokens))
            chosen.append(provider)
    return chosen


async def main() -> None:
    for line in sys.stdin:
        document = json.loads(line)
        for strategy, settings, seed in document["runs"]:
            print(json.dumps(await decisions(document, strategy, settings, seed)), flush=True)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(main())

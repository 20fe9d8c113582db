"""A config folder for the stack that a trace is played to."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path

from app.config_files import load_policy, load_prompts
from app.domain.catalog import Provider, WireFormat
from app.domain.policy import Policy
from app.errors import ConfigError
from app.lab.trace import Trace

#: a placeholder that no name server knows: the simulated mode puts the lab's address there
BASE_URL = "http://lab.invalid"
MODEL = "default"
FILES = ("providers.toml", "policy.toml", "prompts.toml")


def providers_of(trace: Trace, speed: float) -> tuple[Provider, ...]:
    """The providers of a trace as providers.toml would have them: in the trace's order, with time for its slowest."""
    return tuple(
        Provider(
            name=name,
            format=WireFormat.OPENAI,
            base_url=BASE_URL,
            key_env=None,
            models=(MODEL,),
            priority=priority,
            timeout_ms=_timeout_ms(trace, speed),
            cost_header="x-lab-cost",
        )
        for priority, name in enumerate(trace.providers, start=1)
    )


def policy_for(trace: Trace, speed: float, policy: Policy) -> Policy:
    """`policy` with the trace's objective. What is measured is recorded time ÷ speed, so the reference is as well."""
    timeout_ms = _timeout_ms(trace, speed)
    return replace(
        policy,
        objective=replace(
            policy.objective,
            latency=trace.latency_weight,
            cost=trace.cost_weight,
            latency_ref_ms=trace.latency_ref_ms / speed,
            cost_ref_usd=trace.cost_ref_usd,
        ),
        rounds=replace(policy.rounds, interval_s=max(1, round(trace.round_interval_s / speed))),
        # a stream from a trace comes all at once, so its first token may take as long as the whole
        gateway=replace(
            policy.gateway,
            first_token_ms=max(policy.gateway.first_token_ms, timeout_ms),
            thinking_first_token_ms=max(policy.gateway.thinking_first_token_ms, timeout_ms),
            stream_ms=timeout_ms,
            plain_ms=timeout_ms,
            deadline_ms=max(policy.gateway.deadline_ms, 2 * timeout_ms),
        ),
    )


def write_config(trace: Trace, speed: float, current: Path, output: Path, *, replace_files: bool) -> None:
    """providers.toml, policy.toml and prompts.toml in `output`; prompts and all other constants as in `current`.

    Raises ConfigError where `current` is wrong, or where a file is there already and may not be replaced.
    """
    load_prompts(current)
    policy = policy_for(trace, speed, load_policy(current))
    there = [name for name in FILES if (output / name).exists()]
    if there and not replace_files:
        raise ConfigError(f"{output} already holds {', '.join(there)}: give --force to replace them", field="output")
    output.mkdir(parents=True, exist_ok=True)
    title = (
        f"# for the trace {trace.name}, played {speed:g} times as fast as recorded; written by `tooloo lab config`\n"
    )
    (output / "providers.toml").write_text(title + "\n".join(_provider_lines(trace, speed)), encoding="utf-8")
    (output / "policy.toml").write_text(title + "\n".join(_policy_lines(policy)), encoding="utf-8")
    shutil.copyfile(current / "prompts.toml", output / "prompts.toml")


def _timeout_ms(trace: Trace, speed: float) -> int:
    return min(3_600_000, max(30_000, math.ceil(1.5 * trace.slowest_ms / speed)))


def _provider_lines(trace: Trace, speed: float) -> Iterator[str]:
    for provider in providers_of(trace, speed):
        yield from _table(
            # a dot in a bare key would open a table within a table
            json.dumps(provider.name),
            {
                "format": provider.format.value,
                "base_url": provider.base_url,
                "models": list(provider.models),
                "priority": provider.priority,
                "timeout_ms": provider.timeout_ms,
                "cost_header": provider.cost_header,
            },
        )


def _policy_lines(policy: Policy) -> Iterator[str]:
    for name, values in asdict(policy).items():
        yield from _table(name, values)


def _table(name: str, values: Mapping[str, object]) -> Iterator[str]:
    """Numbers, texts, truth values and lists of them look the same in TOML as in JSON; None has no line."""
    yield f"[{name}]"
    yield from (f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None)
    yield ""

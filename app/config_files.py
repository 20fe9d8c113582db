"""Reads providers.toml, prompts.toml and policy.toml into the domain's types; fails by file, key and reason."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator
from dataclasses import fields, replace
from glob import escape
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

from pydantic import (
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from app.config_blocks import (
    UNSHOWN,
    Block,
    LimitsBlock,
    Name,
    ProviderBlock,
    SecretBlock,
    named,
    notes,
    older_words,
    those,
)
from app.config_cases import load_cases
from app.domain.catalog import FromEnvironment, Price, Prompt, Provider, TaskType
from app.domain.policy import Policy
from app.domain.targets.limits import Limits
from app.errors import ConfigError
from app.settings import API_THREADS

T = TypeVar("T")

#: of [objective]: learned from the rounds where the file leaves them out
REFERENCES = ("latency_ref_ms", "cost_ref_usd")

_TESTED = "every move is tested by weights.sigma, least_sd and least_rounds now: delete this line"
#: keys of policy.toml that earlier releases knew, and what stands in for them
REMOVED = {
    f"weights.{key}": _TESTED
    for key in (
        "softness", "accept_slack", "neighbour_gain", "neighbour_min_rounds",
        "rollback_loss", "rollback_sigma", "rollback_rounds", "hold_rounds",
    )
}  # fmt: skip


class _Prompt(Block):
    category: str
    task_type: TaskType = TaskType.DEFAULT
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100_000)]
    max_tokens: Annotated[int, Field(ge=1, le=100_000)]
    grader: str
    expected: Any
    enabled: bool = True


def load_providers(folder: Path) -> tuple[Provider, ...]:
    """In order of priority."""
    path = folder / "providers.toml"
    blocks = _validate(path, dict[Name, ProviderBlock], _read(path))
    if not blocks:
        raise ConfigError(f"{path.name}: at least one provider is needed", field=path.name)
    providers = [
        Provider(
            name=name,
            format=block.format,
            base_url=str(block.base_url).rstrip("/"),
            key_env=block.key_env,
            models=tuple(dict.fromkeys(block.models)),
            embeddings=tuple(named(block.embeddings).items()),
            completions=tuple(dict.fromkeys(block.completions)),
            passthrough=block.passthrough,
            enabled=block.enabled,
            simulated=block.simulated,
            priority=block.priority,
            timeout_ms=block.timeout_ms,
            concurrency=block.concurrency,
            requests_per_minute=block.requests_per_minute,
            tokens_per_minute=block.tokens_per_minute,
            prices=tuple((model, Price(**price.model_dump())) for model, price in block.prices.items()),
            cost_header=block.cost_header,
            price_provider=block.price_provider,
            capabilities=tuple({**older_words(block), **block.capabilities}.items()),
            model_capabilities=(
                *((escape(model), (("prefill", "continued"),)) for model in those(block.prefill)),
                *((pattern, tuple(said.items())) for pattern, said in block.model_capabilities.items()),
            ),
            notes=tuple(notes(block)),
            headers=tuple((header, _header(value)) for header, value in block.headers.items()),
            query=tuple(block.query.items()),
            proxy=FromEnvironment(block.proxy.env) if isinstance(block.proxy, SecretBlock) else block.proxy,
            ca_bundle=_beside(folder, block.ca_bundle),
            client_cert=_beside(folder, block.client_cert),
            client_key=_beside(folder, block.client_key),
            body=block.body,
            limits=_limits(block),
            model_limits=tuple((model, _limits(limits)) for model, limits in block.limits.items()),
        )
        for name, block in blocks.items()
    ]
    return tuple(sorted(providers, key=lambda provider: provider.priority))


def _header(value: str | SecretBlock) -> str | FromEnvironment:
    return value if isinstance(value, str) else FromEnvironment(value.env)


def _beside(folder: Path, path: str | None) -> str | None:
    """Of a path in a file of that folder; one from the root stays what it is."""
    return None if path is None else str(folder.resolve() / path)


def _limits(block: LimitsBlock) -> Limits:
    return Limits(block.first_token_ms, block.idle_ms, block.stream_ms, block.plain_ms)


def load_prompts(folder: Path) -> tuple[Prompt, ...]:
    """In the order of the file, then of cases; each grader is known, and `expected` has the shape it asks for."""
    path = folder / "prompts.toml"
    blocks = _validate(path, dict[Name, _Prompt], _read(path))
    if not any(block.enabled for block in blocks.values()):
        raise ConfigError(f"{path.name}: at least one enabled prompt is needed", field=path.name)
    prompts = tuple(Prompt(id=name, **block.model_dump()) for name, block in blocks.items())
    for prompt in prompts:
        _check(path, prompt)
    cases = load_cases(folder)
    for case in cases:
        if case.id in blocks:
            raise ConfigError(f"{folder / 'cases'}: id: {case.id!r} is that of a block of {path.name}", field="id")
    return (*prompts, *cases)


def _check(path: Path, prompt: Prompt) -> None:
    from app.domain import grading  # slow to import, and nothing to those who read the policy alone

    try:
        grading.check(prompt)
    except ConfigError as error:
        raise ConfigError(f"{path}: {prompt.id}.{error}", field=f"{prompt.id}.{error.field}") from None


def load_policy(folder: Path) -> Policy:
    """A missing file means the defaults; a missing key means its default, or a reference that is to be learned."""
    path = folder / "policy.toml"
    values = _read(path) if path.exists() else {}
    tables = get_type_hints(Policy)
    for table, keys in values.items():
        if table not in tables or not isinstance(keys, dict):
            raise ConfigError(f"{path}: {table}: unknown table; known are: {', '.join(tables)}", field=table)
        known = [key.name for key in fields(tables[table])]
        for key in keys:
            if f"{table}.{key}" in REMOVED:
                raise ConfigError(f"{path}: {table}.{key}: was removed: {REMOVED[f'{table}.{key}']}", field=key)
            if key not in known:
                raise ConfigError(f"{path}: {table}.{key}: unknown key; known are: {', '.join(known)}", field=key)
    policy = _validate(path, Policy, values)
    for table, key, value in _constants(policy):
        if (problem := _out_of_range(key, value)) is not None:
            raise ConfigError(f"{path}: {table}.{key}: {problem}: got {value!r}", field=f"{table}.{key}")
    if policy.gateway.in_flight >= API_THREADS:
        raise ConfigError(
            f"{path}: gateway.in_flight: must be less than {API_THREADS}, the threads of an API process:"
            f" health needs some of them: got {policy.gateway.in_flight}",
            field="gateway.in_flight",
        )
    undeclared = {key: 0.0 for key in REFERENCES if key not in values.get("objective", {})}
    return replace(policy, objective=replace(policy.objective, **undeclared))


#: counts that may be nothing
_MAY_BE_ZERO = {"backup_ms", "rescue_ms", "canaries", "round_usd", "day_usd"}


def _constants(policy: Policy) -> Iterator[tuple[str, str, object]]:
    for table in fields(policy):
        values = getattr(policy, table.name)
        yield from ((table.name, key.name, getattr(values, key.name)) for key in fields(values))


def _out_of_range(key: str, value: object) -> str | None:
    """What is wrong with a constant of the right type, by the unit in its name; None: nothing."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, tuple) and key == "targets":
        return None if all("/" in each for each in value) else "must be a list of provider/model"
    if isinstance(value, tuple):
        whole = all(math.isfinite(each) and 0 <= each <= 1 for each in value) and math.isclose(sum(value), 1)
        return None if whole else "must be three shares that sum to 1"
    if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return "must be a number from 0 up"
    if key.endswith("_share") and value > 1:
        return "must be a share from 0 to 1"
    counts_or_divides = isinstance(value, int) or key.endswith(("_s", "_ms", "_usd", "_cap"))
    return "must be greater than 0" if value == 0 and counts_or_divides and key not in _MAY_BE_ZERO else None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}", field=path.name) from None


def _validate(path: Path, kind: type[T], values: dict[str, Any]) -> T:
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        key = ".".join(str(part) for part in first["loc"] if part != "[key]")
        got = "" if first["type"] == UNSHOWN else f": got {first.get('input')!r}"
        raise ConfigError(f"{path}: {key}: {first['msg']}{got}", field=key) from None

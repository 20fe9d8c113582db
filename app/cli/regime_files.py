"""Reads regimes from TOML: those that come with TooLoo, and a user's own. Fails by file, key and reason."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from app.domain.replay import regimes
from app.domain.replay.regimes.regime import Block, Regime, expanded
from app.errors import ConfigError

SHIPPED = Path(regimes.__file__).with_name("regimes.toml")
T = TypeVar("T", bound=Block)
Targets = dict[str, dict[str, Any]]


class _File(Block):
    sets: dict[str, Targets] = Field(default_factory=dict)
    regimes: dict[str, dict[str, Any]]


def load_regimes(path: Path = SHIPPED) -> dict[str, Regime]:
    """By name, draws expanded. Sets of targets that come with TooLoo may be used in every file."""
    document = _read(path)
    sets = {**({} if path == SHIPPED else _read(SHIPPED).sets), **document.sets}
    if not document.regimes:
        raise ConfigError(f"{path}: regimes: at least one is needed: [regimes.NAME]", field="regimes")
    return expanded({name: _regime(path, name, block, sets) for name, block in document.regimes.items()})


def _read(path: Path) -> _File:
    try:
        return _validated(path, "", _File, tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}", field=path.name) from None


def _regime(path: Path, name: str, block: Mapping[str, Any], sets: Mapping[str, Targets]) -> Regime:
    values = dict(block)
    where = f"regimes.{name}"
    like = values.pop("like", None)
    if like is not None and like not in sets:
        known = ", ".join(sets)
        raise ConfigError(f"{path}: {where}.like: {like!r} is no set; sets are: {known}", field=f"{where}.like")
    own = values.get("targets", {})
    if like is not None and isinstance(own, dict):
        values["targets"] = _over(sets[like], own)
    return _validated(path, where, Regime, values)


def _over(base: Targets, own: Mapping[str, Any]) -> dict[str, Any]:
    """What a regime says of a target, over what the set says of it."""
    mixed = {name: {**base.get(name, {}), **values} for name, values in own.items() if isinstance(values, dict)}
    return {**base, **own, **mixed}


def _validated(path: Path, where: str, kind: type[T], values: Mapping[str, Any]) -> T:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        key = ".".join(filter(None, [where, *(str(part) for part in first["loc"] if part != "[key]")]))
        fields = f"; keys are: {', '.join(kind.model_fields)}" if first["type"] == "extra_forbidden" else ""
        given = "" if first["type"] in {"missing", "value_error"} else f": got {first.get('input')!r}"
        raise ConfigError(f"{path}: {key}: {first['msg']}{given}{fields}", field=key) from None
